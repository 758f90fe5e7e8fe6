"""The actions: each has plan, apply, verify and revert, all idempotent."""
