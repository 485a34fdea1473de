// Attention as a CPU wants it: an invocation owns one or a few queries (or keys) in registers and walks the keys (queries)
// that its workgroup shares, one by one. The more it owns, the fewer loads; nothing is shared and nothing waits.

const group_rows = LANES * OWNED;

@compute @workgroup_size(LANES)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let batch = group.y / dims.heads;
  let head = group.y % dims.heads;
  let kv_head = head / (dims.heads / dims.kv_heads);
  let row = batch * dims.time;
  let first_query = group.x * group_rows;
// @for r in OWNED
  let i{r} = first_query + lane * OWNED + {r}u;
  let query{r} = row + min(i{r}, dims.time - 1u);
  let lowest{r} = first_key[query{r}];
  let at{r} = (query{r} * dims.heads + head) * D4;
  var largest{r} = hidden;
  var sum{r} = 0.0;
  // @for c in D4
  let q{r}_{c} = q_at(at{r} + {c}u);
  var out{r}_{c} = vec4f();
  // @end
// @end
  let end = min(first_query + group_rows, dims.time);
  for (var j = first_key[row + first_query]; j < end; j++) {
    let key = ((row + j) * dims.kv_heads + kv_head) * D4;
// @for r in OWNED
    var score{r} = 0.0;
// @end
// @for c in D4
    let k{c} = k_at(key + {c}u);
    // @for r in OWNED
    score{r} += dot(q{r}_{c}, k{c});
    // @end
// @end
// @for r in OWNED
    score{r} = select(hidden, score{r} * dims.scale, j >= lowest{r} && j <= i{r});
    let new_largest{r} = max(largest{r}, score{r});
    let shrink{r} = exp(largest{r} - new_largest{r});
    let weight{r} = exp(score{r} - new_largest{r});
    sum{r} = sum{r} * shrink{r} + weight{r};
    largest{r} = new_largest{r};
// @end
// @for c in D4
    let v{c} = v_at(key + {c}u);
    // @for r in OWNED
    out{r}_{c} = out{r}_{c} * shrink{r} + weight{r} * v{c};
    // @end
// @end
  }
// @for r in OWNED
  if (i{r} < dims.time) {
    // @for c in D4
    out[at{r} + {c}u] = vec4<Stored>(out{r}_{c} / sum{r});
    // @end
    let statistic = (batch * dims.heads + head) * dims.time + i{r};
    statistics[statistic] = vec2f(largest{r} + log(sum{r}), 0.0);
  }
// @end
}

@compute @workgroup_size(LANES)
fn backward_queries(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let batch = group.y / dims.heads;
  let head = group.y % dims.heads;
  let kv_head = head / (dims.heads / dims.kv_heads);
  let row = batch * dims.time;
  let first_query = group.x * group_rows;
// @for r in OWNED
  let i{r} = first_query + lane * OWNED + {r}u;
  let query{r} = row + min(i{r}, dims.time - 1u);
  let lowest{r} = first_key[query{r}];
  let at{r} = (query{r} * dims.heads + head) * D4;
  let statistic{r} = statistics[(batch * dims.heads + head) * dims.time + min(i{r}, dims.time - 1u)];
  // @for c in D4
  let q{r}_{c} = q_at(at{r} + {c}u);
  let dout{r}_{c} = dout_at(at{r} + {c}u);
  var dq{r}_{c} = vec4f();
  // @end
// @end
  let end = min(first_query + group_rows, dims.time);
  for (var j = first_key[row + first_query]; j < end; j++) {
    let key = ((row + j) * dims.kv_heads + kv_head) * D4;
// @for r in OWNED
    var score{r} = 0.0;
    var dp{r} = 0.0;
// @end
// @for c in D4
    let k{c} = k_at(key + {c}u);
    let v{c} = v_at(key + {c}u);
    // @for r in OWNED
    score{r} += dot(q{r}_{c}, k{c});
    dp{r} += dot(dout{r}_{c}, v{c});
    // @end
// @end
// @for r in OWNED
    let exponent{r} = score{r} * dims.scale - statistic{r}.x;
    let p{r} = select(0.0, exp(exponent{r}), j >= lowest{r} && j <= i{r});
    let ds{r} = p{r} * (dp{r} - statistic{r}.y) * dims.scale;
    // @for c in D4
    dq{r}_{c} += ds{r} * k{c};
    // @end
// @end
  }
// @for r in OWNED
  if (i{r} < dims.time) {
    // @for c in D4
    dq[at{r} + {c}u] = vec4<Stored>(dq{r}_{c});
    // @end
  }
// @end
}

@compute @workgroup_size(LANES)
fn backward_keys(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let batch = group.y / dims.kv_heads;
  let kv_head = group.y % dims.kv_heads;
  let sharing = dims.heads / dims.kv_heads;
  let row = batch * dims.time;
  let first = group.x * group_rows;
  let last = min(first + group_rows, dims.time) - 1u;
// @for r in OWNED
  let j{r} = first + lane * OWNED + {r}u;
  let at{r} = ((row + min(j{r}, last)) * dims.kv_heads + kv_head) * D4;
  // @for c in D4
  let k{r}_{c} = k_at(at{r} + {c}u);
  let v{r}_{c} = v_at(at{r} + {c}u);
  var dk{r}_{c} = vec4f();
  var dv{r}_{c} = vec4f();
  // @end
// @end
  for (var head = kv_head * sharing; head < (kv_head + 1u) * sharing; head++) {
    let first_statistic = (batch * dims.heads + head) * dims.time;
    for (var i = first; i < dims.time; i++) {
      let lowest = first_key[row + i];
      if (lowest > last) { break; } // a later document: none of this workgroup's keys is seen from here on
      let statistic = statistics[first_statistic + i];
      let query = ((row + i) * dims.heads + head) * D4;
// @for r in OWNED
      var score{r} = 0.0;
      var dp{r} = 0.0;
// @end
// @for c in D4
      let q{c} = q_at(query + {c}u);
      let dout{c} = dout_at(query + {c}u);
      // @for r in OWNED
      score{r} += dot(q{c}, k{r}_{c});
      dp{r} += dot(dout{c}, v{r}_{c});
      // @end
// @end
// @for r in OWNED
      let exponent{r} = score{r} * dims.scale - statistic.x;
      let p{r} = select(0.0, exp(exponent{r}), j{r} >= lowest && j{r} <= i);
      let ds{r} = p{r} * (dp{r} - statistic.y) * dims.scale;
      // @for c in D4
      dk{r}_{c} += ds{r} * q{c};
      dv{r}_{c} += p{r} * dout{c};
      // @end
// @end
    }
  }
// @for r in OWNED
  if (j{r} <= last) {
    // @for c in D4
    dk[at{r} + {c}u] = vec4<Stored>(dk{r}_{c});
    dv[at{r} + {c}u] = vec4<Stored>(dv{r}_{c});
    // @end
  }
// @end
}
