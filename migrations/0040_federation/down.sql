select hub.unregister_kind('ap_actors');
drop table ap_actors;
