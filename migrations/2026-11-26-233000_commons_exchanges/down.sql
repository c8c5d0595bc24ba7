drop table hub.deal_documents;
drop table hub.deals;
drop index exchanges_status_expires_at_idx;
update hub.kinds set read_only = '{counterparty_actor_id,status,completed_at,federated_ap_id}' where name = 'exchanges';
alter table exchanges
    drop column quantity, drop column unit, drop column price, drop column price_unit, drop column expires_at, drop column reason,
    drop column counter, drop column progress, drop column own_verdict, drop column other_verdict, drop column accepted_at;
update hub.kinds set read_only = '{origin_actor_id,federated_ap_id}', hidden = '{}' where name = 'declarations';
drop index declarations_community_dao_id_idx;
drop index declarations_author_actor_id_idx;
alter table declarations
    drop column author_actor_id, drop column skills, drop column tags, drop column availability, drop column quantity, drop column unit,
    drop column price_amount, drop column price_currency, drop column language, drop column community_dao_id, drop column url,
    drop column published_at, drop column version, drop column sent_at, drop column content_html, drop column raw, drop column told_by;
