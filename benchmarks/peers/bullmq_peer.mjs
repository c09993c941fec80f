// BullMQ, on Node; BENCHMARK_PEER is the folder where it is installed:
//     node bullmq_peer.mjs work | many NUMBER | one NUMBER | stamped NUMBER
import { createRequire } from 'node:module';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const { Queue, Worker } = createRequire(join(process.env.BENCHMARK_PEER, 'package.json'))('bullmq');
const { hostname: host, port } = new URL(process.env.BENCHMARK_URL);
const connection = { host, port: Number(port) };
const payload = 'x'.repeat(105);
const done = { removeOnComplete: true, removeOnFail: true };
// The same clock as Python's time.monotonic().
const seconds = () => Number(process.hrtime.bigint()) / 1e9;

function work() {
  const values = [];
  let runs = 0, written = 0;
  const file = join(process.env.BENCHMARK_JOURNAL, String(process.pid));
  const write = () => {
    if (runs === written) return;
    writeFileSync(file + '.new', [runs, ...values].join(' '));
    renameSync(file + '.new', file);
    written = runs;
  };
  setInterval(write, 100);
  const sort = process.env.BENCHMARK_WORK;
  const worker = new Worker('peer', async (job) => {
    if (sort === 'wait') await new Promise((go) => setTimeout(go, 5));
    else if (sort === 'cpu') compute();
    runs += 1;
    if (job.data.p[0] !== 'x') values.push(seconds() - Number(job.data.p.slice(0, 20)));
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

async function produce(how, number) {
  const queue = new Queue('peer', { connection, defaultJobOptions: done });
  await queue.waitUntilReady();
  const began = seconds();
  if (how === 'many') {
    for (let first = 0; first < number; first += 1000) {
      const count = Math.min(1000, number - first);
      await queue.addBulk(Array.from({ length: count }, () => ({ name: 'noop', data: { p: payload } })));
    }
  } else {
    for (let place = 0; place < number; place += 1) {
      const p = how === 'one' ? payload : seconds().toFixed(7).padEnd(20).padEnd(105, 'x');
      await queue.add('noop', { p });
      if (how === 'stamped') await new Promise((go) => setTimeout(go, 5 + Math.random() * 10));
    }
  }
  console.log(number / (seconds() - began));
  await queue.close();
}

const [how, number] = process.argv.slice(2);
if (how === 'work') work();
else await produce(how, Number(number));
