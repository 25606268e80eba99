#!/usr/bin/env python3
"""Labels a data set with Spark: each Python worker opens the base and the adapter once.

    spark-submit examples/spark_predict.py ADAPTER INPUT.parquet OUTPUT [--column text]

ADAPTER is a path that all executors see, or the name of an adapter of the Hugging Face hub. OUTPUT
is a folder of Parquet files: the rows of INPUT with the columns `label` and `probability`.
"""

import argparse
import functools

from pyspark.sql import SparkSession
from pyspark.sql.types import FloatType, StringType, StructType


@functools.cache
def opened(adapter, threads):
    """Spark keeps its workers: what one has opened serves all partitions that it gets."""
    import budwood

    return budwood.load(adapter, threads=threads)


def predict(frame, adapter, column="text", threads=1):
    """A data frame of Spark with two more columns."""
    # Workers import this file by its name: what they keep, they keep in it.
    frame.sparkSession.sparkContext.addPyFile(__file__)
    fields = StructType([*frame.schema.fields])
    fields = fields.add("label", StringType()).add("probability", FloatType())

    def labelled(batches):
        import spark_predict

        own = spark_predict.opened(adapter, threads)
        for batch in batches:
            probabilities = own.predict_proba(batch[column])
            labels = [own.labels[best] for best in probabilities.argmax(axis=1)]
            yield batch.assign(label=labels, probability=probabilities.max(axis=1))

    return frame.mapInPandas(labelled, fields)


def main():
    words = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    words.add_argument("adapter")
    words.add_argument("input")
    words.add_argument("output")
    words.add_argument("--column", default="text")
    given = words.parse_args()
    spark = SparkSession.builder.appName("budwood").getOrCreate()
    predict(spark.read.parquet(given.input), given.adapter, given.column).write.parquet(given.output)


if __name__ == "__main__":
    main()
