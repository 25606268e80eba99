-- A second look at what the program already refuses: whatever writes to the file, these hold.
CREATE TRIGGER results_stay_retracted BEFORE UPDATE OF state ON results
WHEN OLD.state = 'retracted' AND NEW.state <> 'retracted'
BEGIN SELECT RAISE(ABORT, 'a result that was taken back stays so'); END;
CREATE TRIGGER results_are_of_named_data BEFORE UPDATE OF state, data_sha256, split ON results
WHEN NEW.state = 're-evaluated' AND NOT EXISTS (
    SELECT 1 FROM leaderboards l WHERE l.id = NEW.leaderboard AND l.data_sha256 = NEW.data_sha256
    AND NEW.split IN ('', l.data_split)
)
BEGIN SELECT RAISE(ABORT, 'a re-evaluated result is of the data that its leaderboard names'); END;
