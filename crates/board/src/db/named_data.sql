-- From version 2 to 3: leaderboards name their data, by digest and split.
ALTER TABLE leaderboards ADD COLUMN data_sha256 TEXT;
ALTER TABLE leaderboards ADD COLUMN data_split TEXT;
ALTER TABLE results ADD COLUMN split TEXT NOT NULL DEFAULT '';
ALTER TABLE scores ADD COLUMN confirmed INTEGER;
UPDATE results SET split = CASE s WHEN 'validation' THEN 'dev' WHEN 'valid' THEN 'dev' WHEN 'val' THEN 'dev'
    WHEN 'development' THEN 'dev' ELSE s END
FROM (SELECT id AS number, lower(trim(coalesce(json_extract(record, '$.dataset.split'), ''))) AS s
      FROM results WHERE json_valid(record)) WHERE id = number;
-- A leaderboard that the board's owner made with a result of theirs is of that result's data, as it is for new ones.
CREATE TEMP TABLE own AS
    SELECT l.id AS leaderboard, r.data_sha256 AS sha256, r.split AS split, l.slug AS slug
    FROM leaderboards l JOIN results r ON r.id = (SELECT min(id) FROM results x WHERE x.leaderboard = l.id)
    WHERE l.archive IS NULL AND r.submitter = 'local' AND r.data_sha256 IS NOT NULL AND r.split <> ''
      AND NOT EXISTS (SELECT 1 FROM tokens WHERE name = 'local')
      AND EXISTS (SELECT 1 FROM log g WHERE g.subject = 'leaderboard' AND g.subject_id = l.id
                  AND g.action = 'new leaderboard' AND g.who = 'local');
UPDATE leaderboards SET data_sha256 = sha256, data_split = own.split FROM own WHERE id = leaderboard;
INSERT INTO log (at, who, action, subject, subject_id, subject_name, reason, details)
    SELECT unixepoch(), 'board', 'name data', 'leaderboard', leaderboard, slug,
           'the owner made this leaderboard with a result on these data',
           json_object('before', NULL, 'after', json_object('sha256', sha256, 'split', split)) FROM own;
DROP TABLE own;
-- Nothing else is known to have been measured on what its leaderboard is about.
UPDATE results SET state = 'other-setting' WHERE state = 're-evaluated' AND NOT EXISTS (
    SELECT 1 FROM leaderboards l WHERE l.id = leaderboard AND l.data_sha256 = results.data_sha256
    AND results.split IN ('', l.data_split));
UPDATE scores SET confirmed = 1 WHERE measured IS NOT NULL
    AND result IN (SELECT id FROM results WHERE state IN ('re-evaluated', 'other-setting'));
UPDATE checks SET progress = 'failed', finished_at = unixepoch(), error = 'the result was taken back'
    WHERE progress = 'waiting' AND result IN (SELECT id FROM results WHERE state = 'retracted');
