"""Runs record.py in every folder below the one that is given; prints what failed as a JSON object."""

import json
import os
import sys
from pathlib import Path

failed = {}
for folder in sorted(path.parent for path in Path(sys.argv[1]).glob("*/record.py")):
    os.chdir(folder)
    try:
        exec(compile(Path("record.py").read_text(), str(folder / "record.py"), "exec"), {})
    except Exception as error:  # noqa: BLE001: every failure is a finding of its case
        failed[folder.name] = f"{type(error).__name__}: {error}"[:600]
print(json.dumps(failed))
