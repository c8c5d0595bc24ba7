-- The few links that point from an earlier domain to a later one.

alter table notes add constraint notes_owner_id_project_id_fkey
    foreign key (owner_id, project_id) references projects (user_id, id) on delete set null (project_id);

alter table workspace_members add constraint workspace_members_agent_id_fkey
    foreign key (agent_id) references agents (id) on delete cascade;
alter table team_members add constraint team_members_agent_id_fkey
    foreign key (agent_id) references agents (id) on delete cascade;

alter table embeddings add constraint embeddings_origin_actor_id_fkey
    foreign key (origin_actor_id) references ap_actors (id) on delete cascade;

-- A brain dump in the ontology may have come out of a chat, which lives further right.
alter table onto_braindumps add constraint onto_braindumps_chat_session_id_fkey foreign key (user_id, chat_session_id)
    references chat_sessions (user_id, id) on delete set null (chat_session_id);

