-- Rows that are new, or were changed, refer to rows that are there: each that is referred to is looked for once. Joined with
-- the table in which they are looked for, a statement might read all of that.
CREATE OR REPLACE FUNCTION refer_from_scores() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM (SELECT DISTINCT result FROM added) a
               WHERE (SELECT p.id FROM results p WHERE p.id = a.result) IS NULL) THEN
        RAISE foreign_key_violation USING MESSAGE = 'scores.result is of none of results';
    END IF;
    IF EXISTS (SELECT 1 FROM (SELECT DISTINCT metric FROM added) a
               WHERE (SELECT p.id FROM metrics p WHERE p.id = a.metric) IS NULL) THEN
        RAISE foreign_key_violation USING MESSAGE = 'scores.metric is of none of metrics';
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION refer_from_results() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM (SELECT DISTINCT leaderboard FROM added) a
               WHERE (SELECT p.id FROM leaderboards p WHERE p.id = a.leaderboard) IS NULL) THEN
        RAISE foreign_key_violation USING MESSAGE = 'results.leaderboard is of none of leaderboards';
    END IF;
    IF EXISTS (SELECT 1 FROM (SELECT DISTINCT paper FROM added WHERE paper IS NOT NULL) a
               WHERE (SELECT p.id FROM papers p WHERE p.id = a.paper) IS NULL) THEN
        RAISE foreign_key_violation USING MESSAGE = 'results.paper is of none of papers';
    END IF;
    IF EXISTS (SELECT 1 FROM (SELECT DISTINCT method_id FROM added WHERE method_id IS NOT NULL) a
               WHERE (SELECT p.id FROM methods p WHERE p.id = a.method_id) IS NULL) THEN
        RAISE foreign_key_violation USING MESSAGE = 'results.method_id is of none of methods';
    END IF;
    IF EXISTS (SELECT 1 FROM (SELECT DISTINCT archive FROM added WHERE archive IS NOT NULL) a
               WHERE (SELECT p.id FROM archives p WHERE p.id = a.archive) IS NULL) THEN
        RAISE foreign_key_violation USING MESSAGE = 'results.archive is of none of archives';
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION refer_from_paper_tasks() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM (SELECT DISTINCT task FROM added) a
               WHERE (SELECT p.id FROM tasks p WHERE p.id = a.task) IS NULL) THEN
        RAISE foreign_key_violation USING MESSAGE = 'paper_tasks.task is of none of tasks';
    END IF;
    IF EXISTS (SELECT 1 FROM (SELECT DISTINCT paper FROM added) a
               WHERE (SELECT p.id FROM papers p WHERE p.id = a.paper) IS NULL) THEN
        RAISE foreign_key_violation USING MESSAGE = 'paper_tasks.paper is of none of papers';
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION refer_from_paper_methods() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM (SELECT DISTINCT method FROM added) a
               WHERE (SELECT p.id FROM methods p WHERE p.id = a.method) IS NULL) THEN
        RAISE foreign_key_violation USING MESSAGE = 'paper_methods.method is of none of methods';
    END IF;
    IF EXISTS (SELECT 1 FROM (SELECT DISTINCT paper FROM added) a
               WHERE (SELECT p.id FROM papers p WHERE p.id = a.paper) IS NULL) THEN
        RAISE foreign_key_violation USING MESSAGE = 'paper_methods.paper is of none of papers';
    END IF;
    RETURN NULL;
END $$;
