def _softmax_2d(softmax, x, axis):
    """Softmax before operator set 13: over all axes from this one on, together."""
    axis = axis % x.dim() if x.dim() else 0
    return softmax(x.reshape(math.prod(x.shape[:axis]), -1), dim=1).reshape(x.shape)
