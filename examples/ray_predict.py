#!/usr/bin/env python3
"""Labels a data set with Ray Data: each worker opens the base and the adapter once.

    examples/ray_predict.py ADAPTER INPUT.parquet OUTPUT [--workers 2] [--threads 1] [--column text]

Leave a processor free of workers: Ray reads and writes with it. INPUT is anything that
`ray.data.read_parquet` takes, OUTPUT a folder of Parquet files: the rows of INPUT with the columns
`label` and `probability`. It needs `pip install "ray[data]"` and this package.
"""

import argparse

import ray


class Predictor:
    """One for each worker. A worker that dies is begun again, and so are the batches that it held."""

    def __init__(self, adapter, column, threads):
        # Here and not above: the module is sent to workers, the model is not.
        import budwood

        self.adapter, self.column = budwood.load(adapter, threads=threads), column

    def __call__(self, batch):
        import pyarrow

        probabilities = self.adapter.predict_proba(batch[self.column])
        best = probabilities.argmax(axis=1)
        labels = pyarrow.array(self.adapter.labels).take(pyarrow.array(best))
        batch = batch.append_column("label", labels)
        return batch.append_column("probability", pyarrow.array(probabilities.max(axis=1)))


def predict(data, adapter, column="text", workers=2, threads=1, batch_size=1024):
    """A data set of Ray with two more columns."""
    # Small files come as one block, which one worker would have alone.
    return data.repartition(target_num_rows_per_block=batch_size).map_batches(
        Predictor,
        fn_constructor_args=(adapter, column, threads),
        # Columns of Arrow, which are read where they lie.
        batch_format="pyarrow",
        batch_size=batch_size,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=threads,
        # A worker that dies is no fault of the program.
        max_restarts=-1,
        max_task_retries=-1,
    )


def main():
    words = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    words.add_argument("adapter")
    words.add_argument("input")
    words.add_argument("output")
    words.add_argument("--workers", type=int, default=2)
    words.add_argument("--threads", type=int, default=1)
    words.add_argument("--column", default="text")
    given = words.parse_args()
    data = ray.data.read_parquet(given.input)
    predict(data, given.adapter, given.column, given.workers, given.threads).write_parquet(given.output)


if __name__ == "__main__":
    main()
