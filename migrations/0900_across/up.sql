-- The few links that point from an earlier domain to a later one.

-- The treasury of a DAO, and the DAO whose limits apply.
alter table ledger_accounts add constraint ledger_accounts_dao_id_fkey
    foreign key (dao_id) references daos (id) on delete set null;
alter table ledger_accounts add constraint ledger_accounts_community_dao_id_fkey
    foreign key (community_dao_id) references daos (id) on delete set null;

-- Rooms of DAOs; agents make rooms, are in them and speak there.
alter table chat_channels add constraint chat_channels_dao_id_fkey foreign key (dao_id) references daos (id) on delete cascade;
alter table chat_channels add constraint chat_channels_created_by_agent_id_fkey
    foreign key (created_by_agent_id) references agents (id) on delete set null;
alter table channel_members add constraint channel_members_member_agent_id_fkey
    foreign key (member_agent_id) references agents (id) on delete cascade;
alter table messages add constraint messages_sender_agent_id_fkey
    foreign key (sender_agent_id) references agents (id) on delete set null;

alter table notes add constraint notes_owner_id_project_id_fkey
    foreign key (owner_id, project_id) references projects (user_id, id) on delete set null (project_id);

alter table workspace_members add constraint workspace_members_agent_id_fkey
    foreign key (agent_id) references agents (id) on delete cascade;
alter table team_members add constraint team_members_agent_id_fkey
    foreign key (agent_id) references agents (id) on delete cascade;

alter table embeddings add constraint embeddings_origin_actor_id_fkey
    foreign key (origin_actor_id) references ap_actors (id) on delete cascade;

-- DAOs follow and are followed.
alter table follows add constraint follows_dao_id_fkey foreign key (dao_id) references daos (id) on delete cascade;
alter table reactions add constraint reactions_dao_id_fkey foreign key (dao_id) references daos (id) on delete cascade;

-- A brain dump in the ontology may have come out of a chat, which lives further right.
alter table onto_braindumps add constraint onto_braindumps_chat_session_id_fkey foreign key (user_id, chat_session_id)
    references chat_sessions (user_id, id) on delete set null (chat_session_id);

