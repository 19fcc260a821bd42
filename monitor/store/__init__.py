"""How records survive: tables, migrations, and the order in which changes become durable."""
