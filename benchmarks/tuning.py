"""Our training step against TRL's SFTTrainer, LoRA and full: the same model, rows and settings, each in a process of its own.

python benchmarks/tuning.py                              the embedded model, 16 rows, two rounds in turn
python benchmarks/tuning.py --rows 300 --epochs 3 --only ours    the time of 300 examples × 3 epochs

Both sides get the same token ids with the same completion mask, the same LoRA layers and batches of the same size, fp32 or bf16 as the
hardware has it, AdamW and a clipped gradient. Tokens a second are those of the rows (padding not counted) over the seconds of the steps,
without loading. Memory is the peak of the process (on a GPU, of its tensors). Ratios are ours ÷ TRL's, per round; the load of the machine
stands beside them, and the processor's time, which other work on the machine changes little. At the end, LoRA against full tuning on
each side, and the time of 300 examples × 3 epochs: measured where that was run, else the median speed carried over and called so.
On a machine with a GPU both sides run there, with the same arguments.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

INSTRUCTIONS = (
    "You answer for a support desk, from the passages given. Reply with one JSON object: quote, words copied from a passage; answer, one"
    " or two plain sentences; label, one of product, billing, contract, other. If the passages do not hold the answer, say so."
)


def made_training(count: int) -> list[Any]:
    """Return seeded rows as a support desk has them: shared instructions, passages of two to seven sentences, a short JSON reply."""
    from groundtune.tuning.rows import Row
    from made_text import Writer

    writer = Writer(7)
    rows = []
    for number in range(count):
        passage = " ".join(writer.sentence() for _ in range(2 + number % 6))
        reply = {"quote": " ".join(passage.split()[:8]), "answer": f"It takes {number % 30} days.", "label": "product"}
        user = f"Passages:\n[1] notes/{number}.md\n{passage}\n\nQuestion: how long does item {number} take?"
        messages = ({"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": user})
        rows.append(Row(example_id=f"r{number}", messages=messages, completion=json.dumps(reply), document_ids=()))
    return rows


def recipe_of(options: argparse.Namespace) -> Any:
    """Return the recipe of both sides."""
    from groundtune.tables import TuningTable

    return TuningTable(
        method=options.method,
        rank=16,
        alpha=32,
        epochs=options.epochs,
        batch=options.batch,
        memory_tokens=options.memory_tokens,
        learning_rate=2e-4 if options.method != "full" else 2e-5,
        evaluate_every=10**6,
        checkpoint_every=10**6,
        max_tokens=2048,
    )


def ours(options: argparse.Namespace) -> dict[str, float]:
    """Train with our loop and return what it took."""
    import torch

    from groundtune.models import memory
    from groundtune.progress import Silent
    from groundtune.tuning import methods
    from groundtune.tuning.encode import encode
    from groundtune.tuning.train import train

    chat, recipe, rows = {"model": options.model}, recipe_of(options), made_training(options.rows)
    model, tokenizer, _ = methods.load(chat, recipe)
    model = methods.prepare(model, recipe)
    tokens = sum(map(len, encode(rows, tokenizer, recipe.max_tokens))) * recipe.epochs
    torch.manual_seed(7)
    memory.begin()
    with tempfile.TemporaryDirectory() as folder:
        began, worked = time.perf_counter(), time.process_time()
        state = train(
            model,
            tokenizer,
            rows=rows,
            dev_rows=(),
            recipe=recipe,
            seed=7,
            folder=Path(folder),
            progress=Silent(),
            name="bench",
            compute=methods.compute_dtype(chat),
        )
        seconds, cpu = time.perf_counter() - began, time.process_time() - worked
    return {"tokens": tokens, "seconds": seconds, "cpu": cpu, "peak": memory.peak(), "loss": state.history[-1]["loss"]}


def theirs(options: argparse.Namespace) -> dict[str, float]:
    """Train with TRL's SFTTrainer on the same token ids and return what it took."""
    import torch
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from groundtune.models import memory
    from groundtune.tuning import methods
    from groundtune.tuning.encode import encode

    chat, recipe, rows = {"model": options.model}, recipe_of(options), made_training(options.rows)
    model, tokenizer, _ = methods.load(chat, recipe)
    model = methods.prepare(model, recipe)
    encoded = encode(rows, tokenizer, recipe.max_tokens)
    tokens = sum(map(len, encoded)) * recipe.epochs
    data = Dataset.from_list(
        [
            {"input_ids": [*row.prompt, *row.completion], "completion_mask": [0] * len(row.prompt) + [1] * len(row.completion)}
            for row in encoded
        ]
    )
    half = methods.compute_dtype(chat) == torch.bfloat16
    micro = options.micro or options.batch
    with tempfile.TemporaryDirectory() as folder:
        settings = SFTConfig(
            output_dir=folder,
            per_device_train_batch_size=micro,
            gradient_accumulation_steps=options.batch // micro,
            num_train_epochs=recipe.epochs,
            learning_rate=recipe.learning_rate,
            lr_scheduler_type="cosine",
            max_length=recipe.max_tokens,
            completion_only_loss=True,
            gradient_checkpointing=False,
            bf16=half,
            use_cpu=not torch.cuda.is_available(),
            save_strategy="no",
            logging_steps=1,
            report_to=[],
            disable_tqdm=True,
            seed=7,
            train_sampling_strategy="group_by_length" if options.group else "random",
        )
        trainer = SFTTrainer(model=model, args=settings, train_dataset=data, processing_class=tokenizer)
        memory.begin()
        began, worked = time.perf_counter(), time.process_time()
        trainer.train()
        seconds, cpu = time.perf_counter() - began, time.process_time() - worked
    loss = next(row["loss"] for row in reversed(trainer.state.log_history) if "loss" in row)
    return {"tokens": tokens, "seconds": seconds, "cpu": cpu, "peak": memory.peak(), "loss": float(loss)}


def machine(model: str) -> str:
    """Return where both sides run and how they count, for the record."""
    import torch

    from groundtune.tuning import methods

    where = torch.cuda.get_device_name(0) if torch.cuda.is_available() else f"the processor ({torch.get_num_threads()} of its threads)"
    dtype = str(methods.compute_dtype({"model": model})).removeprefix("torch.")
    return f"{model} on {where}, products in {dtype}, torch {torch.__version__}"


def three_epochs(found: dict[str, float], options: argparse.Namespace) -> str:
    """Return the time of 300 examples × 3 epochs in words: what was run, or what the same speed would make of it."""
    rows = options.rows * options.epochs
    if (options.rows, options.epochs) == (300, 3):
        return f"300 examples × 3 epochs took {found['seconds'] / 60:.1f} min (measured)"
    minutes = found["seconds"] * 900 / rows / 60
    return f"300 examples × 3 epochs would take {minutes:.1f} min (extrapolated from {rows} rows at the same speed)"


def measured(side: str, options: argparse.Namespace) -> dict[str, float]:
    """Run one side in a process of its own."""
    command = [sys.executable, __file__, "--side", side]
    for name in ("model", "method", "rows", "epochs", "batch", "memory_tokens", "micro"):
        command += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    command += ["--group"] if options.group else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--method", choices=["lora", "full"], default=None, help="both without it")
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--memory-tokens", type=int, default=1024, help="of our loop; TRL takes whole batches, or --micro rows")
    parser.add_argument("--micro", type=int, default=0, help="rows that TRL takes at once; 0: the whole batch")
    parser.add_argument("--group", action="store_true", help="let TRL put rows of like length together, as ours does")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", choices=["ours", "trl"])
    parser.add_argument("--side", choices=["ours", "trl"])
    options = parser.parse_args()
    if options.side:
        print(json.dumps((ours if options.side == "ours" else theirs)(options)))
        return
    sides = [options.only] if options.only else ["ours", "trl"]
    print(machine(options.model), flush=True)
    kept: dict[tuple[str, str], list[dict[str, float]]] = {}
    for method in [options.method] if options.method else ["lora", "full"]:
        options.method = method
        ratios: list[tuple[float, float, float]] = []
        for number in range(options.rounds):
            row = {side: measured(side, options) for side in (sides if number % 2 == 0 else sides[::-1])}
            for side, found in row.items():
                kept.setdefault((side, method), []).append(found)
                speed = found["tokens"] / found["seconds"]
                load = os.getloadavg()[0]
                print(
                    f"{method:5} round {number + 1} {side:5} {speed:8.1f} tokens/s {found['peak'] / 1e9:6.2f} GB"
                    f" {found['seconds']:7.1f} s, {found['cpu']:7.1f} s of processor, last loss {found['loss']:.3f} load {load:.2f}",
                    flush=True,
                )
            if len(row) == 2:
                mine, other = row["ours"], row["trl"]
                ratios.append((other["seconds"] / mine["seconds"], other["cpu"] / mine["cpu"], mine["peak"] / other["peak"]))
        if ratios:
            speed, worked, memory = (median(row[place] for row in ratios) for place in range(3))
            print(f"{method:5} ours ÷ TRL: speed {speed:.2f} (by processor time {worked:.2f}), memory {memory:.2f}")
    for (side, method), runs in kept.items():
        middle = sorted(runs, key=lambda item: item["seconds"])[len(runs) // 2]
        print(f"{method:5} {side:5} {three_epochs(middle, options)}")
        if method == "full" and (side, "lora") in kept:
            lora = sorted(kept[side, "lora"], key=lambda item: item["seconds"])[len(kept[side, "lora"]) // 2]
            speed, memory = middle["seconds"] / lora["seconds"], lora["peak"] / middle["peak"]
            print(f"{side}: LoRA is {speed:.2f} × as fast as full tuning, in {memory:.2f} of its memory")


if __name__ == "__main__":
    main()
