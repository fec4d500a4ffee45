"""Where the scripts read and write; everything else takes paths from here."""

import pathlib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = HERE / "build"  # intermediate results, not committed
PUBLIC = ROOT / "public" / "sample"  # what the page loads
FIXTURES = ROOT / "tests" / "fixtures" / "sample"  # what the tests compare with

FLOAT = PUBLIC / "street-digits.onnx"
QUANTIZED = {"int8": PUBLIC / "street-digits-int8.onnx", "uint8": PUBLIC / "street-digits-uint8.onnx"}
ARCHIVE = PUBLIC / "street-digits.tar.gz"
KERAS = BUILD / "street-digits.keras"
