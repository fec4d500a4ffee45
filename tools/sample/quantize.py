"""The int8 and uint8 versions: ONNX Runtime's `quantize_static`, QDQ, per tensor, MinMax, images one by one."""

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

import dataset
import paths

TYPES = {"int8": QuantType.QInt8, "uint8": QuantType.QUInt8}


class Images(CalibrationDataReader):
    """Hands out the calibration images in file order, each as a batch of one."""

    def __init__(self, images):
        self.batches = iter(images[:, None].astype(np.float32))

    def get_next(self):
        batch = next(self.batches, None)
        return None if batch is None else {"input": batch}


def main():
    images, _ = dataset.load("calibration")
    for name, kind in TYPES.items():
        quantize_static(
            str(paths.FLOAT),
            str(paths.QUANTIZED[name]),
            Images(images),
            quant_format=QuantFormat.QDQ,
            per_channel=False,
            activation_type=kind,
            weight_type=kind,
            calibrate_method=CalibrationMethod.MinMax,
        )
        print(paths.QUANTIZED[name].name, paths.QUANTIZED[name].stat().st_size, "bytes")


if __name__ == "__main__":
    main()
