"""loracle under other people's pytest; loaded by `loracle.pytest_plugin` when there is need."""
