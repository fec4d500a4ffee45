def _slice(x, starts, ends, axes=None, steps=None):
    """ONNX Slice: bounds are cut to the tensor, steps may be negative."""
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    for start, end, axis, step in zip(starts, ends, axes, steps):
        length = x.shape[axis]
        low = -1 if step < 0 else 0
        start, end = (at + length if at < 0 else at for at in (start, end))
        start = min(max(start, 0), length - 1 if step < 0 else length)
        end = min(max(end, low), length)
        chosen = torch.arange(start, max(end, start) if step > 0 else min(end, start), step, device=x.device)
        x = x.index_select(axis, chosen)
    return x
