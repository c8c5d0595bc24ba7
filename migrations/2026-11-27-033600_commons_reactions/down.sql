alter table declarations drop column announces_count, drop column likes_count;
update hub.kinds set read_only = array_remove(array_remove(read_only, 'likes_count'), 'announces_count'),
    quiet = array_remove(array_remove(quiet, 'likes_count'), 'announces_count')
where name = 'declarations';
