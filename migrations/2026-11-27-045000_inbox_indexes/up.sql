-- Fewer indexes on what is written most: whoever looks for a server looks for what still waits, and what is old lies together.

drop index ap_received_waiting_object_uri_idx;
drop index ap_received_host_idx;
create index ap_received_waiting_host_idx on ap_received (host) where state = 'waiting';
drop index ap_received_created_at_idx;
create index ap_received_created_at_idx on ap_received using brin (created_at);
