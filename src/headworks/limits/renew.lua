-- One renewal of one holder: all of its quotas, at once and for all to see the same. The arithmetic is that of
-- ledger.py, where it is explained; a test lets both do the same things and compares every answer.
--
-- A quota is one hash:  s         the books: the numbers of STATE, in this order
--                       h:HOLDER  what is known of a holder: the numbers of STAKE
--                       w         who waits or has just taken: the numbers of WAIT, one holder after another
-- The usual renewal reads and writes these three fields and looks at no other holder.
--
-- The era is a hash too: its number, which process of the server keeps the books, and when they were opened. A server
-- that comes back without its books, or with old ones, opens new ones: for one lease's life nothing is granted, for so
-- long leases of before may be spent; then every quota begins empty (but for the share `fresh`) and refills.

local STATE = '<dddddddddd'  -- level at raised_at virtual held next_expiry orders amount window era
local STAKE = '<dddddd'      -- order held expires_at seen_at serial tag
local WAIT = '<ddddd'        -- order tag unmet took comes_by
local WAIT_BYTES = 40
local NEVER = math.huge
local STEP_S = 1             -- a clock that goes back by less stands still, by more takes all times with it

local holder = ARGV[1]
local serial, due, step, fresh = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local LEASE_S, CLOCK_MARGIN, PATIENCE_S = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local REMEMBERED_S, RAISE_SHARE = tonumber(ARGV[9]), tonumber(ARGV[10])
local RAISE_MARGIN, RAISE_MOST_S, LARGE = tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
local FIRST_ASK, ASK_FIELDS = 14, 5
local OUT_S = LEASE_S * CLOCK_MARGIN

local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6

local function answer(word, rest)
  return string.format('%s %.6f', word, now) .. (rest or '')
end

if due > 0 and now > due then
  return answer('late')
end

-- The era ------------------------------------------------------------------------------------------------------------

local function keeps_every_write()
  return string.find(redis.call('INFO', 'persistence'), 'aof_enabled:1', 1, true) ~= nil
end

local process = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or ''
local known = redis.call('HMGET', KEYS[1], 'era', 'process', 'opened')
local era, opened = tonumber(known[1] or ''), tonumber(known[3] or '')
local is_lost = not era or not opened or (known[2] ~= process and not keeps_every_write())
if is_lost then
  era = now -- no other era began at this very microsecond
end
if is_lost or opened - now > OUT_S + STEP_S then -- the latter: the clock went back
  opened = now + OUT_S
end
if is_lost or known[2] ~= process or opened ~= tonumber(known[3]) then
  redis.call('HSET', KEYS[1], 'era', string.format('%.17g', era), 'process', process,
    'opened', string.format('%.17g', opened))
end
if now < opened then
  return answer('settling', string.format(' %.3f', opened - now))
end

local may_evict = nil
local function first_level(amount, rate)
  if may_evict == nil then
    local memory = redis.call('INFO', 'memory')
    may_evict = not string.find(memory, 'maxmemory:0', 1, true)
      and not string.find(memory, 'maxmemory_policy:noeviction', 1, true)
  end
  -- What was never seen has refilled since the books were opened; what may have been thrown away has not.
  local refilled = may_evict and 0 or (now - opened - math.max(0, step)) * rate
  return math.min(amount, math.max(fresh * amount, refilled))
end

-- The ledger ---------------------------------------------------------------------------------------------------------

local function cap(q)
  q.level = math.min(q.level, q.amount - q.held)
end

local function refill(q, moment)
  if moment > q.at then
    q.level = q.level + (moment - q.at) * (q.amount / q.window)
    q.at = moment
    cap(q)
  end
end

local function read_stake(data)
  local s = {}
  s.order, s.held, s.expires_at, s.seen_at, s.serial, s.tag = struct.unpack(STAKE, data)
  return s
end

local function write_stake(key, field, s)
  redis.call('HSET', key, field,
    struct.pack(STAKE, s.order, s.held, s.expires_at, s.seen_at, s.serial, s.tag))
end

-- Who waits stays one string, for there may be hundreds, and each renewal of a short quota looks at all.
local function place_of(q, order)
  local bytes = struct.pack('<d', order)
  local found = string.find(q.waits, bytes, 1, true)
  while found and (found - 1) % WAIT_BYTES ~= 0 do
    found = string.find(q.waits, bytes, found + 1, true)
  end
  return found
end

local function put_wait(q, place, wait)
  q.waits = string.sub(q.waits, 1, place - 1) .. wait .. string.sub(q.waits, place + WAIT_BYTES)
  q.waits_changed = true
end

local function stop_waiting(q, order)
  local place = place_of(q, order)
  if place then
    put_wait(q, place, '')
  end
end

local function each_stake(key, visit)
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 2) == 'h:' then
      visit(fields[i], read_stake(fields[i + 1]))
    end
  end
end

-- The server's clock was set: all that was noted by it goes with it.
local function shift(q, by)
  q.at, q.raised_at, q.next_expiry = q.at + by, q.raised_at + by, q.next_expiry + by
  for place = 1, #q.waits, WAIT_BYTES do
    local order, tag, unmet, took, comes_by = struct.unpack(WAIT, q.waits, place)
    put_wait(q, place, struct.pack(WAIT, order, tag, unmet, took, comes_by + by))
  end
  each_stake(q.key, function(field, s)
    s.expires_at, s.seen_at = s.expires_at + by, s.seen_at + by
    write_stake(q.key, field, s)
  end)
end

local function lapse(q)
  local due_ones, rest = {}, {}
  each_stake(q.key, function(field, s)
    s.field = field
    local into = s.expires_at <= now and due_ones or rest
    into[#into + 1] = s
  end)
  table.sort(due_ones, function(a, b)
    if a.expires_at == b.expires_at then return a.order < b.order end
    return a.expires_at < b.expires_at
  end)
  for _, s in ipairs(due_ones) do
    refill(q, s.expires_at)
    q.held = q.held - s.held
    s.held, s.expires_at = 0, NEVER
    local place = place_of(q, s.order)
    if place then
      local order, tag, _, took, comes_by = struct.unpack(WAIT, q.waits, place)
      put_wait(q, place, took > 0 and struct.pack(WAIT, order, tag, 0, took, comes_by) or '')
    end
    write_stake(q.key, s.field, s)
    rest[#rest + 1] = s
  end
  q.next_expiry = NEVER
  for _, s in ipairs(rest) do
    q.next_expiry = math.min(q.next_expiry, s.expires_at)
    if s.held == 0 and s.seen_at + REMEMBERED_S < now then
      stop_waiting(q, s.order)
      redis.call('HDEL', q.key, s.field)
    end
  end
end

local function open_quota(key, amount, window)
  local field = 'h:' .. holder
  local found = redis.call('HMGET', key, 's', 'w', field)
  local q = {key = key, waits_changed = false}
  if found[1] then
    q.level, q.at, q.raised_at, q.virtual, q.held, q.next_expiry, q.orders, q.amount, q.window, q.era =
      struct.unpack(STATE, found[1])
  end
  if q.era ~= era then -- none, or books of before
    redis.call('DEL', key)
    q.level, q.at, q.raised_at, q.virtual = first_level(amount, amount / window), now, now, 0
    q.held, q.next_expiry, q.orders, q.amount, q.window, q.era = 0, NEVER, 0, amount, window, era
    q.waits = ''
    return q, nil
  end
  q.waits = found[2] or ''
  local changed = false
  if now < q.at - STEP_S then
    shift(q, now - q.at)
    changed = true
  elseif step > STEP_S and now - q.at >= step - STEP_S then
    shift(q, math.min(step, now - q.at))
    changed = true
  end
  if now >= q.next_expiry then
    lapse(q)
    changed = true
  end
  refill(q, now)
  if q.amount ~= amount or q.window ~= window then
    q.amount, q.window = amount, window
    cap(q)
  end
  local data = found[3]
  if changed then
    data = redis.call('HGET', key, field)
  end
  return q, data and read_stake(data) or nil
end

local function ahead_of(q, stake)
  local ahead, late = 0, {}
  local waits, my_tag, my_order, at, unpack_one = q.waits, stake.tag, stake.order, q.at, struct.unpack
  for place = 1, #waits, WAIT_BYTES do
    local order, tag, unmet, took, comes_by = unpack_one(WAIT, waits, place)
    if order ~= my_order and (tag < my_tag or (tag == my_tag and order < my_order)) then
      if comes_by < at then
        late[#late + 1] = order
      else
        ahead = ahead + (unmet > 0 and unmet or took)
      end
    end
  end
  for _, order in ipairs(late) do
    stop_waiting(q, order) -- passed over
  end
  return ahead
end

local function believe(q, remaining)
  local excess = q.level + q.held - remaining
  if excess > 0 then
    q.level = math.max(q.level - excess, -q.amount)
  else
    local lift = math.min(q.at - q.raised_at, RAISE_MOST_S) * (q.amount / q.window) * RAISE_SHARE
    q.level = q.level + math.max(0, math.min(lift, -excess - RAISE_MARGIN * q.amount))
    cap(q)
  end
  q.raised_at = q.at
end

local function grant(q, stake, more)
  if more <= 0 then
    stop_waiting(q, stake.order)
    return 0
  end
  local place = place_of(q, stake.order)
  local unmet = place and select(3, struct.unpack(WAIT, q.waits, place)) or 0
  if unmet == 0 then
    stake.tag = math.max(stake.tag, q.virtual)
  end
  local ahead = ahead_of(q, stake)
  local free = math.floor(q.level + 1e-9)
  local granted = math.max(0, math.min(more, free - ahead, math.max(math.floor((free + 1) / 2), math.floor(q.amount / LARGE))))
  if ahead == 0 then
    q.virtual = math.max(q.virtual, stake.tag)
  end
  stake.tag = stake.tag + granted
  stake.held = stake.held + granted
  q.held = q.held + granted
  q.level = q.level - granted
  local rate = q.amount / q.window
  local wait = 0
  if granted < more then
    wait = rate > 0 and math.max(0, (ahead + 1 - q.level) / rate) or q.window
  end
  put_wait(q, place_of(q, stake.order) or #q.waits + 1,
    struct.pack(WAIT, stake.order, stake.tag, more - granted, granted, q.at + wait + PATIENCE_S))
  return wait
end

local function close_quota(q, stake)
  local pieces = {'s', struct.pack(STATE, q.level, q.at, q.raised_at, q.virtual, q.held, q.next_expiry, q.orders,
    q.amount, q.window, q.era), 'h:' .. holder, struct.pack(STAKE, stake.order, stake.held,
    stake.expires_at, stake.seen_at, stake.serial, stake.tag)}
  if q.waits_changed then
    pieces[#pieces + 1], pieces[#pieces + 2] = 'w', q.waits
  end
  redis.call('HSET', q.key, unpack(pieces))
  -- Gone when it would be full and nothing out: then a quota that was never seen is the same.
  local full_s = q.amount > 0 and (q.amount - q.level) * q.window / q.amount or 0
  redis.call('PEXPIRE', q.key, string.format('%.0f', (math.max(full_s, 0) + 2 * OUT_S) * 1000))
end

local function renew(key, amount, window, spent, wanted, remaining)
  local q, stake = open_quota(key, amount, window)
  if not stake then
    q.orders = q.orders + 1
    stake = {order = q.orders, held = 0, expires_at = NEVER, seen_at = 0, serial = 0, tag = q.virtual}
  end
  if serial <= stake.serial then -- overtaken by a later one
    close_quota(q, stake)
    return stake.held, 0, 0
  end
  stake.serial, stake.seen_at = serial, q.at
  wanted = math.min(wanted, amount)
  local kept = math.max(0, math.min(stake.held - spent, wanted))
  q.level = q.level + (stake.held - spent - kept)
  q.held = q.held + (kept - stake.held)
  stake.held = kept
  cap(q)
  if remaining >= 0 then
    believe(q, remaining)
  end
  local wait = grant(q, stake, wanted - kept)
  if stake.held > 0 then
    stake.expires_at = q.at + OUT_S
    q.next_expiry = math.min(q.next_expiry, stake.expires_at)
  else
    stake.expires_at = NEVER
  end
  close_quota(q, stake)
  return stake.held, LEASE_S, wait
end

local leases = {}
for i = 2, #KEYS do
  local place = FIRST_ASK + (i - 2) * ASK_FIELDS
  leases[#leases + 1] = string.format(' %.0f %.17g %.17g', renew(KEYS[i], tonumber(ARGV[place]),
    tonumber(ARGV[place + 1]), tonumber(ARGV[place + 2]), tonumber(ARGV[place + 3]), tonumber(ARGV[place + 4])))
end
return answer('ok', table.concat(leases))
