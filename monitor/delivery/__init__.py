"""Batch delivery for Faust: agents receive the records of a fetch, partition by partition, instead of one at a time.

Stands alone: imports Faust, mode and aiokafka, and nothing else of this distribution. See ``docs/batch-delivery.md``.
"""

from monitor.delivery.app import BatchApp
from monitor.delivery.batch import RecordBatch, batches
from monitor.delivery.topic import BatchTopic

__all__ = ["BatchApp", "BatchTopic", "RecordBatch", "batches"]
