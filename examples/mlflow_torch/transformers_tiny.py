"""Transformers' trainer on a tiny random model (nothing is downloaded): its own MLflow callback, and the pipeline as a model."""

import tempfile

import mlflow
import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast, Trainer, TrainingArguments

transformers.set_seed(0)
transformers.logging.set_verbosity_error()
mlflow.set_experiment("transformers")
words = ["[PAD]", "[UNK]", "good", "bad", "sky", "very"]
inner = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
inner.pre_tokenizer = Whitespace()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]")
config = BertConfig(
    vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
    max_position_embeddings=16, num_labels=2,
)  # fmt: skip
model = BertForSequenceClassification(config)
texts = [("very good sky", 1), ("good", 1), ("bad", 0), ("very bad sky", 0)] * 16


class Texts(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return len(texts)

    def __getitem__(self, index: int) -> dict:
        text, label = texts[index]
        found = tokenizer(text, padding="max_length", max_length=4, truncation=True)
        return {key: torch.tensor(value) for key, value in found.items() if key != "token_type_ids"} | {
            "labels": torch.tensor(label)
        }


with tempfile.TemporaryDirectory() as folder, mlflow.start_run() as run:
    arguments = TrainingArguments(
        folder, num_train_epochs=8, per_device_train_batch_size=16, learning_rate=0.01, logging_steps=4, save_strategy="no",
        report_to=["mlflow"], use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    Trainer(model, arguments, train_dataset=Texts()).train()
    pipeline = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
    made = mlflow.transformers.log_model(
        pipeline, name="mood", input_example=["good sky"], pip_requirements=["transformers", "torch"]
    )

client = mlflow.MlflowClient()
stored = client.get_run(run.info.run_id)
losses = [point.value for point in client.get_metric_history(run.info.run_id, "loss")]
assert len(losses) == 8, losses
assert losses[-1] < losses[0]
assert len(stored.data.params) > 100
loaded = mlflow.pyfunc.load_model(made.model_uri)
answers = loaded.predict(["very good sky", "very bad sky"])
assert list(answers["label"]) == ["LABEL_1", "LABEL_0"], answers
print(
    f"transformers {transformers.__version__}: {len(stored.data.params)} params, loss {losses[0]:.3f} -> {losses[-1]:.3f}"
)
