import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import torch
from made_training import RECIPE
from safetensors.torch import load_file
from test_train import distance, tuned

TOGETHER = """
import json, sys
from pathlib import Path
sys.path[:0] = json.loads(sys.argv[3])
import torch
from made_training import RECIPE, made
from groundtune.progress import Silent
from groundtune.tuning import methods
from groundtune.tuning.several import world
from groundtune.tuning.train import train

torch.set_num_threads(1)
here = world()
assert here.size == 2, here.size
for objective in ("sft", "dpo", "kto"):
    recipe = RECIPE.model_copy(update={"objective": objective, "batch": 3, "learning_rate": 1e-3})
    model, tokenizer, _ = methods.load({"model": sys.argv[1], "dtype": "float32"}, recipe)
    torch.manual_seed(5)
    folder = Path(sys.argv[2]) / objective
    folder.mkdir(exist_ok=True)
    state = train(methods.prepare(model, recipe), tokenizer, rows=made(objective, 10), dev_rows=made(objective, 2),
                  recipe=recipe, seed=3, folder=folder, progress=Silent(), name="x", world=here)
    print(json.dumps([here.rank, state.step, state.best_loss]))
"""


def test_two_processes_take_the_steps_that_one_takes(tiny: Path, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    script = tmp_path / "together.py"
    script.write_text(TOGETHER)
    here = json.dumps([str(Path(__file__).parent), str(Path(__file__).parent.parent / "models")])
    processes = []
    for rank in ("0", "1"):
        environment = {
            **os.environ,
            "RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
            "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }  # fmt: skip
        command = [sys.executable, str(script), str(tiny), str(tmp_path), here]
        processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    told = []
    try:
        for process in processes:
            out, err = process.communicate(timeout=900)
            assert process.returncode == 0, err[-3000:]
            told.append([json.loads(line) for line in out.splitlines() if line.startswith("[")])
    finally:
        for process in processes:
            process.kill()
    assert [[row[1:] for row in rows] for rows in told][0] == [[row[1:] for row in rows] for rows in told][1]
    for objective in ("sft", "dpo", "kto"):
        recipe = RECIPE.model_copy(update={"objective": objective, "batch": 3, "learning_rate": 1e-3})
        alone = tuned(tiny, tmp_path / f"alone-{objective}", recipe, count=10)
        together = load_file(str(tmp_path / objective / "best/adapter_model.safetensors"))
        assert distance(alone, together) < 5e-5
        assert max(float(value.abs().max()) for key, value in together.items() if "lora_B" in key) > 1e-3
    assert torch.isfinite(torch.tensor(told[0][0][2]))
