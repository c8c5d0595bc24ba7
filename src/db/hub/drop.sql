-- What the replaceable SQL made outside the schemas that the migrations drop.
select 1;
