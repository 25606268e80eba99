-- What came with the fourth version of the tables.
-- A paper's page counts ranks among the scores of a metric: `dialect::scores_of_metric`.
CREATE INDEX scores_by_metric ON scores ((metric + 0));
-- Words of rows are copies, and as little watched over as in a file. Looked for row by row, what they are of took a quarter of
-- the time in which they are made.
ALTER TABLE paper_text DROP CONSTRAINT paper_text_id_fkey;
ALTER TABLE model_text DROP CONSTRAINT model_text_id_fkey;
