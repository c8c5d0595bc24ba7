drop table hub.idempotency_keys;
