drop index ap_received_created_at_idx;
create index ap_received_created_at_idx on ap_received (created_at);
drop index ap_received_waiting_host_idx;
create index ap_received_host_idx on ap_received (host, created_at);
create index ap_received_waiting_object_uri_idx on ap_received (object_uri, id) where state = 'waiting';
