ALTER TABLE target_filters ADD COLUMN description text COLLATE "C";
ALTER TABLE target_filters ADD COLUMN auto_state text COLLATE "C";
ALTER TABLE target_filters ADD COLUMN auto_start_at bigint;
ALTER TABLE target_filters ADD COLUMN auto_decided_by text COLLATE "C";
ALTER TABLE target_filters ADD COLUMN auto_remark text COLLATE "C";
ALTER TABLE target_filters ADD COLUMN auto_made bigint NOT NULL DEFAULT 0;
UPDATE target_filters SET auto_state = 'running' WHERE auto_set IS NOT NULL;
