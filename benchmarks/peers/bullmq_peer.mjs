// BullMQ, on Node; BENCHMARK_PEER is the folder where it is installed:
//     node bullmq_peer.mjs work | many NUMBER | one NUMBER | stamped NUMBER |
//         later NUMBER LEAD SPREAD
import { createRequire } from 'node:module';
import { appendFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const { Queue, Worker } = createRequire(join(process.env.BENCHMARK_PEER, 'package.json'))('bullmq');
const { hostname: host, port } = new URL(process.env.BENCHMARK_URL);
const connection = { host, port: Number(port) };
const payload = 'x'.repeat(105);
const done = { removeOnComplete: true, removeOnFail: true };
// The same clock as Python's time.monotonic().
const seconds = () => Number(process.hrtime.bigint()) / 1e9;
// The same as its time.time(), which Date.now() cuts off at a millisecond.
const wallSeconds = () => (performance.timeOrigin + performance.now()) / 1e3;
const stamped = (moment) => moment.toFixed(7).padEnd(20).padEnd(105, 'x');

function work() {
  const values = [];
  let runs = 0, written = 0;
  const file = join(process.env.BENCHMARK_JOURNAL, String(process.pid));
  const write = () => {
    if (runs === written) return;
    if (values.length) appendFileSync(file + '.values', values.splice(0).map((one) => one + '\n').join(''));
    writeFileSync(file + '.new', String(runs));
    renameSync(file + '.new', file);
    written = runs;
  };
  setInterval(write, 100);
  const sort = process.env.BENCHMARK_WORK;
  const clock = sort === 'late' ? wallSeconds : seconds;
  const worker = new Worker('peer', async (job) => {
    if (sort === 'wait') await new Promise((go) => setTimeout(go, 5));
    else if (sort === 'cpu') compute();
    runs += 1;
    if (job.data.p[0] !== 'x') values.push(clock() - Number(job.data.p.slice(0, 20)));
    if (runs === 1) write();
  }, { connection, concurrency: Number(process.env.BENCHMARK_AT_ONCE) });
  process.on('SIGTERM', async () => { await worker.close(); process.exit(0); });
}

// 1 ms of processor time.
function compute() {
  const before = process.cpuUsage();
  for (let used = 0; used < 1000;) {
    const { user, system } = process.cpuUsage(before);
    used = user + system;
  }
}

// One at once, the others due from so many seconds later on, spread over so many seconds.
async function later(queue, number, lead, spread) {
  await queue.add('noop', { p: payload });
  const first = Date.now() + lead * 1000;
  for (let place = 0; place < number; place += 1) {
    const due = first + Math.round(spread * 1000 * place / number);
    const timestamp = Date.now();
    await queue.add('noop', { p: stamped(due / 1000) }, { timestamp, delay: due - timestamp });
  }
  if (Date.now() >= first) throw new Error(`enqueueing took longer than the lead of ${lead} s`);
}

async function produce(how, number, lead, spread) {
  const queue = new Queue('peer', { connection, defaultJobOptions: done });
  await queue.waitUntilReady();
  const began = seconds();
  if (how === 'many') {
    for (let first = 0; first < number; first += 1000) {
      const count = Math.min(1000, number - first);
      await queue.addBulk(Array.from({ length: count }, () => ({ name: 'noop', data: { p: payload } })));
    }
  } else if (how === 'later') {
    await later(queue, number, lead, spread);
  } else {
    for (let place = 0; place < number; place += 1) {
      const p = how === 'one' ? payload : stamped(seconds());
      await queue.add('noop', { p });
      if (how === 'stamped') await new Promise((go) => setTimeout(go, 5 + Math.random() * 10));
    }
  }
  console.log(number / (seconds() - began));
  await queue.close();
}

const [how, ...numbers] = process.argv.slice(2);
if (how === 'work') work();
else await produce(how, ...numbers.map(Number));
