-- What came with the third version of the tables.
-- Titles are looked through for words in this order, and read from the index alone. Longer ones do not fit into it.
DROP INDEX papers_by_results;
CREATE INDEX papers_by_results ON papers (results DESC, title_key) INCLUDE (id)
    WHERE results > 0 AND octet_length(title_key) < 2000;
-- Papers of a task or a method are put in order by their dates, without reading the papers.
CREATE INDEX papers_dates ON papers (id) INCLUDE (date);
-- What rows of the largest tables refer to is looked for once for all rows of a statement: looked for row by row, it took
-- half of the time in which results are imported. One process writes at a time, so that nothing is removed meanwhile.
ALTER TABLE scores DROP CONSTRAINT scores_result_fkey, DROP CONSTRAINT scores_metric_fkey;
ALTER TABLE results DROP CONSTRAINT results_leaderboard_fkey, DROP CONSTRAINT results_paper_fkey,
    DROP CONSTRAINT results_method_id_fkey, DROP CONSTRAINT results_archive_fkey;
ALTER TABLE paper_tasks DROP CONSTRAINT paper_tasks_task_fkey, DROP CONSTRAINT paper_tasks_paper_fkey;
ALTER TABLE paper_methods DROP CONSTRAINT paper_methods_method_fkey, DROP CONSTRAINT paper_methods_paper_fkey;
CREATE TRIGGER new_ones_refer AFTER INSERT ON scores REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refer_from_scores();
CREATE TRIGGER changed_ones_refer AFTER UPDATE ON scores REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refer_from_scores();
CREATE TRIGGER new_ones_refer AFTER INSERT ON results REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refer_from_results();
CREATE TRIGGER changed_ones_refer AFTER UPDATE ON results REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refer_from_results();
CREATE TRIGGER new_ones_refer AFTER INSERT ON paper_tasks REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refer_from_paper_tasks();
CREATE TRIGGER changed_ones_refer AFTER UPDATE ON paper_tasks REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refer_from_paper_tasks();
CREATE TRIGGER new_ones_refer AFTER INSERT ON paper_methods REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refer_from_paper_methods();
CREATE TRIGGER changed_ones_refer AFTER UPDATE ON paper_methods REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refer_from_paper_methods();
-- Nothing refers to rows that are removed: pairs of a table and its column.
CREATE FUNCTION stay_referred_to() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE lost BIGINT;
BEGIN
    FOR i IN 0 .. TG_NARGS - 1 BY 2 LOOP
        EXECUTE format(
            'SELECT id FROM gone WHERE EXISTS (SELECT 1 FROM %I.%I of WHERE of.%I = gone.id) LIMIT 1',
            TG_TABLE_SCHEMA, TG_ARGV[i], TG_ARGV[i + 1]) INTO lost;
        IF lost IS NOT NULL THEN
            RAISE foreign_key_violation
                USING MESSAGE = format('%s refers to %s of %s', TG_ARGV[i], lost, TG_TABLE_NAME);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE FUNCTION keep_number() RETURNS TRIGGER LANGUAGE plpgsql AS
    $$ BEGIN RAISE foreign_key_violation USING MESSAGE = 'a row keeps its number'; END $$;
CREATE TRIGGER referred_to_stay AFTER DELETE ON results REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION stay_referred_to('scores', 'result');
CREATE TRIGGER referred_to_stay AFTER DELETE ON metrics REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION stay_referred_to('scores', 'metric');
CREATE TRIGGER referred_to_stay AFTER DELETE ON leaderboards REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION stay_referred_to('results', 'leaderboard');
CREATE TRIGGER referred_to_stay AFTER DELETE ON papers REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION
    stay_referred_to('results', 'paper', 'paper_tasks', 'paper', 'paper_methods', 'paper');
CREATE TRIGGER referred_to_stay AFTER DELETE ON methods REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION stay_referred_to('results', 'method_id', 'paper_methods', 'method');
CREATE TRIGGER referred_to_stay AFTER DELETE ON tasks REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION stay_referred_to('paper_tasks', 'task');
CREATE TRIGGER referred_to_stay AFTER DELETE ON archives REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION stay_referred_to('results', 'archive');
CREATE TRIGGER numbers_stay BEFORE UPDATE OF id ON results
    FOR EACH ROW WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION keep_number();
CREATE TRIGGER numbers_stay BEFORE UPDATE OF id ON metrics
    FOR EACH ROW WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION keep_number();
CREATE TRIGGER numbers_stay BEFORE UPDATE OF id ON leaderboards
    FOR EACH ROW WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION keep_number();
CREATE TRIGGER numbers_stay BEFORE UPDATE OF id ON papers
    FOR EACH ROW WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION keep_number();
CREATE TRIGGER numbers_stay BEFORE UPDATE OF id ON methods
    FOR EACH ROW WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION keep_number();
CREATE TRIGGER numbers_stay BEFORE UPDATE OF id ON tasks
    FOR EACH ROW WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION keep_number();
CREATE TRIGGER numbers_stay BEFORE UPDATE OF id ON archives
    FOR EACH ROW WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION keep_number();
