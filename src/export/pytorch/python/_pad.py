def _pad(x, pads, mode="constant", value=0.0, axes=None):
    """ONNX Pad over any axes; negative pads cut."""
    axes = list(range(x.dim())) if axes is None else [axis % x.dim() for axis in axes]
    begin, end = [0] * x.dim(), [0] * x.dim()
    for at, axis in enumerate(axes):
        begin[axis], end[axis] = pads[at], pads[at + len(axes)]
    if mode == "constant":
        return F.pad(x, [p for b, e in zip(reversed(begin), reversed(end)) for p in (b, e)], value=value)
    for axis in axes:
        length = x.shape[axis]
        at = torch.arange(-begin[axis], length + end[axis], device=x.device)
        if mode == "edge":
            at = at.clamp(0, length - 1)
        elif mode == "wrap":
            at = at % length
        else:
            period = max(2 * (length - 1), 1)
            at = (length - 1) - ((at % period) - (length - 1)).abs()
        x = x.index_select(axis, at)
    return x
