def _recurrent(kind, x, w, r, b=None, lengths=None, h=None, c=None, p=None, direction="forward", activations=None, linear_before_reset=False, batch_first=False, clip=None, input_forget=False):
    """ONNX RNN, GRU and LSTM, step by step; every direction's outputs, its last hidden and its last cell state."""
    known = {"Sigmoid": torch.sigmoid, "Tanh": torch.tanh, "Relu": torch.relu, "Softsign": F.softsign, "Softplus": F.softplus}
    known = {name: lambda v, alpha, beta, of=of: of(v) for name, of in known.items()}
    known["HardSigmoid"] = lambda v, alpha, beta: torch.clamp(alpha * v + beta, 0, 1)
    known["Affine"] = lambda v, alpha, beta: alpha * v + beta
    known["LeakyRelu"] = lambda v, alpha, beta: F.leaky_relu(v, alpha)
    known["ThresholdedRelu"] = lambda v, alpha, beta: F.threshold(v, alpha, 0.0)
    known["ScaledTanh"] = lambda v, alpha, beta: alpha * torch.tanh(beta * v)
    known["Elu"] = lambda v, alpha, beta: F.elu(v, alpha)
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[kind]
    default = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}[kind]
    if batch_first:
        x = x.transpose(0, 1)
        h, c = (None if state is None else state.transpose(0, 1) for state in (h, c))
    steps, batch, hidden = x.shape[0], x.shape[1], r.shape[-1]
    cut = (lambda v: v) if clip is None else (lambda v: torch.clamp(v, -clip, clip))
    backward = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[direction]
    found, last_h, last_c = [], [], []
    for at, reverse in enumerate(backward):
        named = activations[at * len(default) : (at + 1) * len(default)] if activations else [(name, 0, 0) for name in default]
        act = [lambda v, of=known[name], alpha=alpha, beta=beta: of(v, alpha, beta) for name, alpha, beta in named]
        bias = torch.zeros(2 * gates * hidden, dtype=x.dtype, device=x.device) if b is None else b[at]
        wb, rb = bias.chunk(2)
        ht = x.new_zeros(batch, hidden) if h is None else h[at]
        ct = x.new_zeros(batch, hidden) if c is None else c[at]
        pi, po, pf = (0, 0, 0) if p is None else p[at].chunk(3)
        rows = [None] * steps
        for t in range(steps - 1, -1, -1) if reverse else range(steps):
            given = x[t] @ w[at].T + wb
            if kind == "GRU":
                kept = ht @ r[at].T + rb
                (iz, ir, ih), (kz, kr, kh) = given.chunk(3, 1), kept.chunk(3, 1)
                z, reset = act[0](cut(iz + kz)), act[0](cut(ir + kr))
                if not linear_before_reset:
                    kh = (reset * ht) @ r[at][2 * hidden :].T + rb[2 * hidden :]
                new = act[1](cut(ih + (reset * kh if linear_before_reset else kh)))
                hn, cn = (1 - z) * new + z * ht, ct
            elif kind == "LSTM":
                i, o, f, g = (given + ht @ r[at].T + rb).chunk(4, 1)
                i = act[0](cut(i + pi * ct))
                f = 1 - i if input_forget else act[0](cut(f + pf * ct))
                cn = f * ct + i * act[1](cut(g))
                hn = act[0](cut(o + po * cn)) * act[2](cn)
            else:
                hn, cn = act[0](cut(given + ht @ r[at].T + rb)), ct
            if lengths is None:
                ht, ct, rows[t] = hn, cn, hn
            else:
                on = (t < lengths).unsqueeze(1)
                ht, ct = torch.where(on, hn, ht), torch.where(on, cn, ct)
                rows[t] = torch.where(on, hn, torch.zeros_like(hn))
        found.append(torch.stack(rows) if rows else x.new_zeros(0, batch, hidden))
        last_h.append(ht)
        last_c.append(ct)
    y, last_h, last_c = torch.stack(found, 1), torch.stack(last_h), torch.stack(last_c)
    if batch_first:
        y, last_h, last_c = y.permute(2, 0, 1, 3), last_h.transpose(0, 1), last_c.transpose(0, 1)
    return y, last_h, last_c
