// Attention as a GPU wants it: a workgroup owns a tile of queries (or keys) and walks tiles of keys (queries). Scores,
// their gradients and what they weigh are small matrix products of tiles in workgroup memory. An invocation holds a few
// sums of each: of scores four owned rows by WALKED others, of results four owned rows by COLUMNS vectors. So ACROSS
// invocations share a row, which need not fit the registers of one. Operands of scores come in chunks along D, what is
// weighed in steps along the walk, so that 16 KB of workgroup memory are enough for any width of a head.

const owned = 4u * DOWN; // rows of a workgroup
const walked = WALKED * ACROSS; // rows of a tile of the walk
const lanes = ACROSS * DOWN;
const chunk_pitch = CHUNK + 1u; // a vector of padding: neighbouring rows lie in different banks
const step_pitch = COLUMNS * ACROSS;
const weight_pitch = DOWN + 1u;
const walked_at = owned * chunk_pitch;
var<workgroup> tiles: array<vec4f, walked_at + max(walked * chunk_pitch, STEP * step_pitch)>;
var<workgroup> weights: array<vec4f, walked * weight_pitch>; // [walked row][owned rows / 4]

// Part of the rows of one head: `count` rows from `first` on, `width` vectors of each from `d` on.
struct Part { first: u32, count: u32, d: u32, width: u32 }

fn own_chunk(first: u32, d: u32) -> Part { return Part(first, owned, d, CHUNK); }
fn walked_chunk(first: u32, d: u32) -> Part { return Part(first, walked, d, CHUNK); }
fn walked_step(first: u32) -> Part { return Part(first, STEP, 0u, D4); }

// Where vector `i` of a part is stored, of a tensor of `heads` heads; rows past the last repeat it.
fn source(part: Part, i: u32, batch: u32, heads: u32, head: u32) -> u32 {
  let row = batch * dims.time + min(part.first + i / part.width, dims.time - 1u);
  return (row * heads + head) * D4 + part.d + i % part.width;
}

fn copy_q(part: Part, to: u32, pitch: u32, batch: u32, head: u32, lane: u32) {
  for (var i = lane; i < part.count * part.width; i += lanes) {
    tiles[to + i / part.width * pitch + i % part.width] = q_at(source(part, i, batch, dims.heads, head));
  }
}

fn copy_dout(part: Part, to: u32, pitch: u32, batch: u32, head: u32, lane: u32) {
  for (var i = lane; i < part.count * part.width; i += lanes) {
    tiles[to + i / part.width * pitch + i % part.width] = dout_at(source(part, i, batch, dims.heads, head));
  }
}

fn copy_k(part: Part, to: u32, pitch: u32, batch: u32, kv_head: u32, lane: u32) {
  for (var i = lane; i < part.count * part.width; i += lanes) {
    tiles[to + i / part.width * pitch + i % part.width] = k_at(source(part, i, batch, dims.kv_heads, kv_head));
  }
}

fn copy_v(part: Part, to: u32, pitch: u32, batch: u32, kv_head: u32, lane: u32) {
  for (var i = lane; i < part.count * part.width; i += lanes) {
    tiles[to + i / part.width * pitch + i % part.width] = v_at(source(part, i, batch, dims.kv_heads, kv_head));
  }
}

// The first key that each of four queries sees.
fn first_keys(row: u32, query: vec4u) -> vec4u {
  let at = row + min(query, vec4u(dims.time - 1u));
  return vec4u(first_key[at.x], first_key[at.y], first_key[at.z], first_key[at.w]);
}

// Four owned rows by four of D.
fn own_block(at: u32, down: u32) -> mat4x4f {
  let i = 4u * down * chunk_pitch + at;
  return transpose(mat4x4f(
    tiles[i], tiles[i + chunk_pitch], tiles[i + 2u * chunk_pitch], tiles[i + 3u * chunk_pitch],
  ));
}

// sums[j] += owned rows · walked row j, over `width` vectors of D that the tiles hold.
alias Products = array<vec4f, WALKED>; // of four owned rows each
fn add_products(sums: Products, width: u32, local: vec3u) -> Products {
  var products = sums;
  for (var i = 0u; i < width; i++) {
    let a = own_block(i, local.y);
// @for j in WALKED
    let b{j} = tiles[walked_at + ({j}u * ACROSS + local.x) * chunk_pitch + i];
    products[{j}] = fma(a[3], b{j}.wwww, fma(a[2], b{j}.zzzz, fma(a[1], b{j}.yyyy, fma(a[0], b{j}.xxxx, products[{j}]))));
// @end
  }
  return products;
}

// sums[r][c] += Σ weight of row r · column c, over the `count` walked rows from `step` on, which the tiles hold.
alias Results = array<array<vec4f, COLUMNS>, 4>;
fn add_weighted(sums: Results, step: u32, count: u32, local: vec3u) -> Results {
  var results = sums;
  for (var i = 0u; i < count; i++) {
    let weight = weights[(step + i) * weight_pitch + local.y];
// @for c in COLUMNS
    let column{c} = tiles[walked_at + i * step_pitch + {c}u * ACROSS + local.x];
  // @for r in FOUR
    results[{r}][{c}] = fma(vec4f(weight[{r}]), column{c}, results[{r}][{c}]);
  // @end
// @end
  }
  return results;
}

@compute @workgroup_size(ACROSS, DOWN)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let batch = group.y / dims.heads;
  let head = group.y % dims.heads;
  let kv_head = head / (dims.heads / dims.kv_heads);
  let row = batch * dims.time;
  let first_query = group.x * owned;
  let query = first_query + 4u * local.y + vec4u(0u, 1u, 2u, 3u);
  let lowest = first_keys(row, query);
  var largest = vec4f(hidden);
  var sum = vec4f();
  var results = Results();
  let end = min(first_query + owned, dims.time);
  for (var first = first_key[row + first_query]; first < end; first += walked) {
    var scores = Products();
    for (var d = 0u; d < D4; d += CHUNK) {
      workgroupBarrier();
      copy_q(own_chunk(first_query, d), 0u, chunk_pitch, batch, head, lane);
      copy_k(walked_chunk(first, d), walked_at, chunk_pitch, batch, kv_head, lane);
      workgroupBarrier();
      scores = add_products(scores, min(CHUNK, D4 - d), local);
    }
    var new_largest = largest;
// @for j in WALKED
    let key{j} = vec4u(first + {j}u * ACROSS + local.x);
    scores[{j}] = select(vec4f(hidden), scores[{j}] * dims.scale, (key{j} >= lowest) & (key{j} <= query));
    new_largest = max(new_largest, scores[{j}]);
// @end
    weights[local.x * weight_pitch + local.y] = new_largest;
    workgroupBarrier();
    for (var x = 0u; x < ACROSS; x++) { new_largest = max(new_largest, weights[x * weight_pitch + local.y]); }
    workgroupBarrier();
    let shrink = exp(largest - new_largest);
    largest = new_largest;
    sum *= shrink;
// @for j in WALKED
    let weight{j} = exp(scores[{j}] - largest);
    sum += weight{j};
    weights[({j}u * ACROSS + local.x) * weight_pitch + local.y] = weight{j};
// @end
// @for r in FOUR
// @for c in COLUMNS
    results[{r}][{c}] *= shrink[{r}];
// @end
// @end
    for (var step = 0u; step < min(walked, end - first); step += STEP) {
      workgroupBarrier();
      copy_v(walked_step(first + step), walked_at, step_pitch, batch, kv_head, lane);
      workgroupBarrier();
      results = add_weighted(results, step, min(STEP, end - first - step), local);
    }
  }
  workgroupBarrier();
  weights[local.x * weight_pitch + local.y] = sum;
  workgroupBarrier();
  sum = vec4f();
  for (var x = 0u; x < ACROSS; x++) { sum += weights[x * weight_pitch + local.y]; }
// @for r in FOUR
  if (query[{r}] < dims.time) {
    let at = ((row + query[{r}]) * dims.heads + head) * D4;
    // @for c in COLUMNS
    if ({c}u * ACROSS + local.x < D4) {
      out[at + {c}u * ACROSS + local.x] = vec4<Stored>(results[{r}][{c}] / sum[{r}]);
    }
    // @end
    if (local.x == 0u) {
      let statistic = (batch * dims.heads + head) * dims.time + query[{r}];
      statistics[statistic] = vec2f(largest[{r}] + log(sum[{r}]), 0.0);
    }
  }
// @end
}

@compute @workgroup_size(ACROSS, DOWN)
fn backward_queries(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let batch = group.y / dims.heads;
  let head = group.y % dims.heads;
  let kv_head = head / (dims.heads / dims.kv_heads);
  let row = batch * dims.time;
  let first_query = group.x * owned;
  let query = first_query + 4u * local.y + vec4u(0u, 1u, 2u, 3u);
  let lowest = first_keys(row, query);
  let at = min(query, vec4u(dims.time - 1u)) + (batch * dims.heads + head) * dims.time;
  let log_sum = vec4f(statistics[at.x].x, statistics[at.y].x, statistics[at.z].x, statistics[at.w].x);
  let delta = vec4f(statistics[at.x].y, statistics[at.y].y, statistics[at.z].y, statistics[at.w].y);
  var results = Results();
  let end = min(first_query + owned, dims.time);
  for (var first = first_key[row + first_query]; first < end; first += walked) {
    var scores = Products();
    for (var d = 0u; d < D4; d += CHUNK) {
      workgroupBarrier();
      copy_q(own_chunk(first_query, d), 0u, chunk_pitch, batch, head, lane);
      copy_k(walked_chunk(first, d), walked_at, chunk_pitch, batch, kv_head, lane);
      workgroupBarrier();
      scores = add_products(scores, min(CHUNK, D4 - d), local);
    }
    var dp = Products();
    for (var d = 0u; d < D4; d += CHUNK) {
      workgroupBarrier();
      copy_dout(own_chunk(first_query, d), 0u, chunk_pitch, batch, head, lane);
      copy_v(walked_chunk(first, d), walked_at, chunk_pitch, batch, kv_head, lane);
      workgroupBarrier();
      dp = add_products(dp, min(CHUNK, D4 - d), local);
    }
// @for j in WALKED
    let key{j} = vec4u(first + {j}u * ACROSS + local.x);
    let p{j} = select(vec4f(), exp(scores[{j}] * dims.scale - log_sum), (key{j} >= lowest) & (key{j} <= query));
    weights[({j}u * ACROSS + local.x) * weight_pitch + local.y] = p{j} * (dp[{j}] - delta) * dims.scale;
// @end
    for (var step = 0u; step < min(walked, end - first); step += STEP) {
      workgroupBarrier();
      copy_k(walked_step(first + step), walked_at, step_pitch, batch, kv_head, lane);
      workgroupBarrier();
      results = add_weighted(results, step, min(STEP, end - first - step), local);
    }
  }
// @for r in FOUR
  if (query[{r}] < dims.time) {
    let at = ((row + query[{r}]) * dims.heads + head) * D4;
    // @for c in COLUMNS
    if ({c}u * ACROSS + local.x < D4) { dq[at + {c}u * ACROSS + local.x] = vec4<Stored>(results[{r}][{c}]); }
    // @end
  }
// @end
}

@compute @workgroup_size(ACROSS, DOWN)
fn backward_keys(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let batch = group.y / dims.kv_heads;
  let kv_head = group.y % dims.kv_heads;
  let sharing = dims.heads / dims.kv_heads;
  let row = batch * dims.time;
  let first_owned = group.x * owned;
  let last = min(first_owned + owned, dims.time) - 1u;
  let key = first_owned + 4u * local.y + vec4u(0u, 1u, 2u, 3u);
  var dk_results = Results();
  var dv_results = Results();
  for (var head = kv_head * sharing; head < (kv_head + 1u) * sharing; head++) {
    for (var first = first_owned; first < dims.time; first += walked) {
      if (first_key[row + first] > last) { break; } // a later document: none of these keys is seen from here on
      var scores = Products();
      for (var d = 0u; d < D4; d += CHUNK) {
        workgroupBarrier();
        copy_k(own_chunk(first_owned, d), 0u, chunk_pitch, batch, kv_head, lane);
        copy_q(walked_chunk(first, d), walked_at, chunk_pitch, batch, head, lane);
        workgroupBarrier();
        scores = add_products(scores, min(CHUNK, D4 - d), local);
      }
      var dp = Products();
      for (var d = 0u; d < D4; d += CHUNK) {
        workgroupBarrier();
        copy_v(own_chunk(first_owned, d), 0u, chunk_pitch, batch, kv_head, lane);
        copy_dout(walked_chunk(first, d), walked_at, chunk_pitch, batch, head, lane);
        workgroupBarrier();
        dp = add_products(dp, min(CHUNK, D4 - d), local);
      }
// @for j in WALKED
      let query{j} = first + {j}u * ACROSS + local.x;
      let at{j} = min(query{j}, dims.time - 1u);
      let statistic{j} = statistics[(batch * dims.heads + head) * dims.time + at{j}];
      let seen{j} = (key >= vec4u(first_key[row + at{j}])) & (key <= vec4u(query{j}));
      let p{j} = select(vec4f(), exp(scores[{j}] * dims.scale - statistic{j}.x), seen{j});
      let ds{j} = p{j} * (dp[{j}] - statistic{j}.y) * dims.scale;
      weights[({j}u * ACROSS + local.x) * weight_pitch + local.y] = p{j};
// @end
      let count = min(walked, dims.time - first);
      for (var step = 0u; step < count; step += STEP) {
        workgroupBarrier();
        copy_dout(walked_step(first + step), walked_at, step_pitch, batch, head, lane);
        workgroupBarrier();
        dv_results = add_weighted(dv_results, step, min(STEP, count - step), local);
      }
      workgroupBarrier();
// @for j in WALKED
      weights[({j}u * ACROSS + local.x) * weight_pitch + local.y] = ds{j};
// @end
      for (var step = 0u; step < count; step += STEP) {
        workgroupBarrier();
        copy_q(walked_step(first + step), walked_at, step_pitch, batch, head, lane);
        workgroupBarrier();
        dk_results = add_weighted(dk_results, step, min(STEP, count - step), local);
      }
    }
  }
// @for r in FOUR
  if (key[{r}] <= last) {
    let at = ((row + key[{r}]) * dims.kv_heads + kv_head) * D4;
    // @for c in COLUMNS
    if ({c}u * ACROSS + local.x < D4) {
      dk[at + {c}u * ACROSS + local.x] = vec4<Stored>(dk_results[{r}][{c}]);
      dv[at + {c}u * ACROSS + local.x] = vec4<Stored>(dv_results[{r}][{c}]);
    }
    // @end
  }
// @end
}
