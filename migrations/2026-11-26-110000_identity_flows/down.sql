drop table hub.tries;
drop table hub.auth_codes;
alter table hub.refresh_tokens drop column generation;
alter table hub.sessions drop column generation;
drop index hub.one_time_links_email_purpose_idx;
alter table hub.one_time_links drop column code_challenge, drop column wrong_tries, drop column code_hash;
