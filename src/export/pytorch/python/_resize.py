def _resize(x, scales=None, sizes=None, mode="nearest", transform="half_pixel", nearest="round_prefer_floor", a=-0.75, exclude=False):
    """ONNX Resize, one axis after the other."""
    for axis, length in enumerate(x.shape):
        size = sizes[axis] if sizes is not None else math.floor(length * scales[axis])
        scale = scales[axis] if scales is not None else size / length
        if size == length and scale == 1:
            continue
        out = torch.arange(size, dtype=torch.float32, device=x.device)
        if transform == "align_corners":
            at = out * (length - 1) / (size - 1) if size > 1 else out * 0
        elif transform == "asymmetric":
            at = out / scale
        elif transform == "half_pixel_symmetric":
            at = length / 2 * (1 - size / (scale * length)) + (out + 0.5) / scale - 0.5
        elif transform == "pytorch_half_pixel" and size <= 1:
            at = out * 0
        else:
            at = (out + 0.5) / scale - 0.5
        if mode == "nearest":
            rounded = {
                "round_prefer_floor": lambda: torch.ceil(at - 0.5),
                "round_prefer_ceil": lambda: torch.floor(at + 0.5),
                "floor": lambda: torch.floor(at),
                "ceil": lambda: torch.ceil(at),
            }[nearest]()
            x = x.index_select(axis, rounded.clamp(0, length - 1).to(torch.int64))
            continue
        low = torch.floor(at)
        part = at - low
        if mode == "linear":
            taps = [(0, 1 - part), (1, part)]
        else:
            near = lambda d: ((a + 2) * d - (a + 3)) * d * d + 1
            far = lambda d: ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
            taps = [(-1, far(part + 1)), (0, near(part)), (1, near(1 - part)), (2, far(2 - part))]
        shape = [-1 if other == axis else 1 for other in range(x.dim())]
        result, total = 0, 0
        for step, weight in taps:
            index = (low + step).to(torch.int64)
            if exclude:
                weight = torch.where((index < 0) | (index >= length), torch.zeros_like(weight), weight)
            total = total + weight
            result = result + x.index_select(axis, index.clamp(0, length - 1)) * weight.reshape(shape)
        x = result / total.reshape(shape) if exclude else result
    return x
