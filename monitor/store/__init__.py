"""How records survive: tables, migrations, and the order in which changes become durable."""

from monitor.store.errors import Holder, StoreError, StoreHeld, StoreLost
from monitor.store.memory import MemoryStore
from monitor.store.store import Store

__all__ = ["Holder", "MemoryStore", "Store", "StoreError", "StoreHeld", "StoreLost"]
