"""The report's style sheet: light and dark, wide and narrow; nothing is loaded from anywhere."""

from __future__ import annotations

from typing import Final

# Colours from the Okabe-Ito set, told apart by people with any common colour blindness.
STYLE: Final = """
:root{color-scheme:light dark;--bg:#fff;--ink:#16202b;--soft:#566473;--line:#dde3ea;--card:#f6f8fa;
--honest:#7f95ab;--attack:#c8500a;--found:#0b6b4f;--shift:#9c4a8b;--track:#e3e8ee}
@media(prefers-color-scheme:dark){:root{--bg:#10161d;--ink:#e6ecf2;--soft:#9fadbb;--line:#2a3541;--card:#18212b;
--honest:#6f879f;--attack:#f08a45;--found:#3ecf9b;--shift:#dd8fcb;--track:#2a3541}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1240px;margin:0 auto;padding:28px 24px 64px}
h1{font-size:1.6rem;line-height:1.2;margin:0 0 4px}h2{font-size:1.15rem;margin:40px 0 4px}
p{margin:4px 0 12px;max-width:75ch}.soft,small{color:var(--soft)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(190px,1fr));gap:12px;margin:20px 0}
.tile{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px 14px}
.tile b{display:block;font-size:1.6rem;line-height:1.2;font-variant-numeric:tabular-nums}
.tile span{font-size:.85rem}.tile small{display:block;font-size:.8rem;line-height:1.35}
.row{display:grid;grid-template-columns:13rem 1fr 8.5rem;gap:12px;align-items:center;min-height:26px;padding:2px 0}
.row>*{min-width:0}.row .name{overflow-wrap:anywhere;line-height:1.2;font-size:.85rem}
.row .name small{display:block;font-size:.75rem}
.row .value{font-size:.8rem;line-height:1.2;font-variant-numeric:tabular-nums}
.row.head{font-size:.8rem;color:var(--soft);margin-top:12px;align-items:end}
.row.head b{font-weight:600;grid-column:span 2}
.lanes .row{border-bottom:1px solid var(--line);padding:1px 0}
svg{display:block;width:100%;height:24px;overflow:visible}
.honest{fill:var(--honest)}.attack{fill:var(--attack)}.model{fill:var(--honest)}
.track{fill:var(--track)}.fill{fill:var(--attack)}
.line,.stem,.span{fill:none;stroke-width:2;vector-effect:non-scaling-stroke}
.onset .line{stroke:var(--shift);stroke-dasharray:4 3}.start .line{stroke:var(--attack)}
.found .line{stroke:var(--found)}.wrong .line{stroke:var(--ink)}
.dot{fill:none;stroke:var(--ink);stroke-width:11;stroke-linecap:round;vector-effect:non-scaling-stroke}
.found .dot{stroke:var(--found)}
.span{stroke:var(--soft)}.stem.attacker,.dot.attacker{stroke:var(--attack)}.stem.honest,.dot.honest{stroke:var(--ink)}
.stem.shift,.dot.shift{stroke:var(--shift)}.stem.unlabelled,.dot.unlabelled{stroke:var(--soft)}
.stem,.dot.attacker,.dot.honest,.dot.shift,.dot.unlabelled{fill:none}
.axis{position:relative;height:1.4em;font-size:.75rem;color:var(--soft);font-variant-numeric:tabular-nums}
.axis span{position:absolute;transform:translateX(-50%);white-space:nowrap}
.legend{display:flex;flex-wrap:wrap;gap:4px 18px;font-size:.8rem;color:var(--soft);margin:6px 0}
.legend i{display:inline-block;width:14px;height:10px;margin-right:6px;border-radius:2px}
.legend .l-onset{width:0;height:12px;border-left:2px dashed var(--shift);border-radius:0}
.legend .l-wrong{width:0;height:12px;border-left:2px solid var(--ink);border-radius:0}
.legend .l-found{width:10px;border-radius:50%;background:var(--found)}
.scroll{overflow-x:auto;margin:8px 0}
table{border-collapse:collapse;width:100%;font-size:.85rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:5px 14px 5px 0;border-bottom:1px solid var(--line);vertical-align:top}
td{overflow-wrap:anywhere;min-width:6.5rem}th{color:var(--soft);font-weight:600;white-space:nowrap}
@media(max-width:640px){main{padding:18px 14px 40px}.row{grid-template-columns:6.2rem 1fr 4.6rem;gap:8px}
.row .name,.row .value{font-size:.74rem}.tiles{grid-template-columns:1fr 1fr;gap:8px}.tile{padding:10px}
.tile b{font-size:1.3rem}.axis span:nth-child(even){display:none}}
@media print{main{max-width:none;padding:0}.row{break-inside:avoid}}
"""
