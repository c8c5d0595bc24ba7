select hub.unregister_kind('listings');
drop table listings;
select hub.unregister_kind('data_products');
drop table data_products;
