"""Other systems for `quality.py`, each by its documented recipe; imported by it. Each gives its answers for the test rows.

| model | recipe | needs |
|---|---|---|
| `setfit` | SetFit's defaults: one epoch over all pairs (oversampling), batches of 16, its logistic head | setfit 1.2, sentence-transformers |
| `adapters` | AdapterHub's guide to text classification: `seq_bn`, its classification head, 1e-4, 6 epochs, batches of 32 | adapters 1.3 |
| `full` | fine-tuning of all weights: 5e-5 with linear decay, batches of 16, 3 epochs, 60 steps at least | transformers |

`adapters` and `setfit` want different versions of `transformers`: each has an environment of its own. SetFit takes neither pairs
nor numbers.
"""
import os, tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
LENGTH = 128


def numbered(train, numbers):
    """The known labels, and for each row what is learned."""
    if numbers:
        return None, [float(label) for _, label in train]
    known = sorted({label for _, label in train})
    return known, [known.index(label) for _, label in train]


def setfit(args, train, test, numbers):
    if numbers or len(train[0][0]) > 1:
        return None, {"error": "SetFit takes single texts and classes"}
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments
    known, right = numbered(train, False)
    model = SetFitModel.from_pretrained(args.base_folder)
    with tempfile.TemporaryDirectory() as folder:
        rows = Dataset.from_dict({"text": [texts[0] for texts, _ in train], "label": right})
        options = TrainingArguments(output_dir=folder, save_strategy="no", report_to="none", seed=0)
        trainer = Trainer(model=model, args=options, train_dataset=rows)
        trainer.train()
        found = model.predict([texts[0] for texts, _ in test])
    return [known[int(i)] for i in found], {}


def torch_loop(model, tokenizer, rate, epochs, batch, least, train, test, numbers):
    """Trains what is not frozen with AdamW and a line to zero, and answers."""
    import torch
    known, right = numbered(train, numbers)
    mean = sum(right) / len(right) if numbers else 0
    deviation = (sum((x - mean) ** 2 for x in right) / len(right)) ** 0.5 if numbers else 1
    right = torch.tensor([(x - mean) / deviation for x in right] if numbers else right)

    def inputs(rows):
        texts = list(zip(*(texts for texts, _ in rows)))
        return tokenizer(*map(list, texts), truncation=True, max_length=LENGTH, padding=True, return_tensors="pt")

    a_pass = -(-len(train) // batch)
    steps = max(least, a_pass * epochs)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=0.01)
    plan = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    model.train()
    order = []
    for _ in range(steps):
        if not order:
            order = list(torch.randperm(len(train)).split(batch))
        rows = order.pop().tolist()
        y = model(**inputs([train[i] for i in rows])).logits
        wanted = right[rows]
        loss = torch.nn.functional.mse_loss(y[:, 0], wanted) if numbers else torch.nn.functional.cross_entropy(y, wanted)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        plan.step()
    model.eval()
    found = []
    with torch.inference_mode():
        for start in range(0, len(test), 64):
            y = model(**inputs(test[start:start + 64])).logits
            found += y[:, 0].tolist() if numbers else [known[i] for i in y.argmax(-1).tolist()]
    return found, {}


def adapters(args, train, test, numbers):
    import torch
    from adapters import AutoAdapterModel
    from transformers import AutoTokenizer
    torch.manual_seed(0)
    model = AutoAdapterModel.from_pretrained(args.base_folder)
    model.add_adapter("task", config="seq_bn")
    labels = 1 if numbers else len({label for _, label in train})
    model.add_classification_head("task", num_labels=labels)
    model.train_adapter("task")
    tokenizer = AutoTokenizer.from_pretrained(args.base_folder)
    return torch_loop(model, tokenizer, 1e-4, 6, 32, 0, train, test, numbers)


def full(args, train, test, numbers):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    torch.manual_seed(0)
    labels = 1 if numbers else len({label for _, label in train})
    model = AutoModelForSequenceClassification.from_pretrained(args.base_folder, num_labels=labels)
    tokenizer = AutoTokenizer.from_pretrained(args.base_folder)
    return torch_loop(model, tokenizer, 5e-5, 3, 16, 60, train, test, numbers)


OTHERS = {"setfit": setfit, "adapters": adapters, "full": full}
