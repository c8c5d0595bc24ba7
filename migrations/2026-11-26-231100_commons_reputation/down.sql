select hub.unregister_kind('reputation_credentials');
drop table reputation_credentials;
drop table hub.reputation_facts;
