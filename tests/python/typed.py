"""What `mypy --strict` must accept, and with `type: ignore` what it must not: unused ones are errors."""

import budwood

model = budwood.Classifier(epochs=3, recipe="paper", class_weights={"good": 2.0})
fitted: budwood.Classifier = model.fit(["fine", "awful"], ["good", "bad"], dev=(["good"], ["good"]))
probabilities = fitted.predict_proba(["a film"])
first: float = float(probabilities[0, 0])
budwood.Classifier(epoch=3)  # type: ignore[call-arg]
budwood.Classifier(recipe="fast")  # type: ignore[arg-type]
budwood.Classifier(image_size=32)  # type: ignore[call-arg]
run: budwood.Run = budwood.train("reviews.csv", "out", base="minilm", on_event=print, seed=3)
adapter: budwood.Adapter = budwood.load("out", base=budwood.Base("minilm"))
labels: list[str] = adapter.labels
score: float = budwood.evaluate(adapter, (["fine"], ["good"])).scores["accuracy"]
adapter.predict_probabilities(["a"])  # type: ignore[attr-defined]
adapter.to_onnx("out", precision=["f32", "int8"])
adapter.to_onnx("out", precision="int4")  # type: ignore[arg-type]
sent: dict[str, object] = adapter.push("me/reviews", license="mit", form="onnx", precision="int8")
adapter.push("me/reviews", form="tar")  # type: ignore[arg-type]
explanation: budwood.Explanation = adapter.explain(["fine"], top=1)[0]
