/**
 * `npm run bench`: what a request costs, here and in the servers it is compared with.
 *
 * One server at a time, started afresh for each measurement and pinned to the first core; load generator and
 * origin on the second. All speak TLS with the same certificate and write an access log. What counts is
 * processor time per request as the kernel accounts it, which depends far less than throughput on whether the
 * load generator keeps up; requests a second and p99 stand beside it. A busy machine still makes every request
 * dearer (cold caches, smaller batches, compilers that lag behind): quote figures from an idle one only.
 * Rounds go over all servers in turn (A B C, A B C), so that a machine that drifts hits all alike. It never
 * changes anything outside its temporary folder, and ends whatever it started.
 * Exit code: 0 when everything was measured, whatever the verdicts; 1 when a measurement failed or had errors.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { reason } from '../../src/errors.ts'
import { type BenchOptions, parseBenchArguments, usage } from './arguments.ts'
import { writeCertificate } from './certificate.ts'
import { machineTimes, stolenShare } from './cpu.ts'
import { chooseCpus, describeLoadNow, describeMachine } from './machine.ts'
import { type Conditions, measure } from './measure.ts'
import { isInstalled, killAll } from './processes.ts'
import { printScenario, printVerdicts } from './report.ts'
import { Results } from './results.ts'
import { chooseScenarios, isShared, type Scenario } from './scenarios.ts'
import { haproxy } from './servers/haproxy.ts'
import { httpProxy } from './servers/http-proxy.ts'
import { nginx } from './servers/nginx.ts'
import { nodeHttps } from './servers/node-https.ts'
import { originVersion } from './servers/origin.ts'
import type { Peer } from './servers/peer.ts'
import { sluice } from './servers/sluice.ts'
import { judge } from './targets.ts'

const peers: readonly Peer[] = [sluice, nginx, haproxy, httpProxy, nodeHttps]

try {
  const options = parseBenchArguments(process.argv.slice(2))
  if (options.help) say(usage)
  else process.exitCode = await bench(options, chooseScenarios(options.only))
} catch (error) {
  say(`bench: ${reason(error)}`)
  process.exitCode = 1
}

async function bench(options: BenchOptions, scenarios: readonly Scenario[]): Promise<number> {
  const present = choosePeers(options.servers)
  const machine = describeMachine()
  for (const line of machine) say(line)
  say(`servers  ${present.map((peer) => peer.version()).join(', ')}; origin ${originVersion()}`)
  say(`rounds   ${options.rounds} of ${options.seconds} s after ${options.warmUpSeconds} s of warm-up`)
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  cleanUpAtExit(folder)
  const times = machineTimes()
  const conditions: Conditions = {
    folder,
    certificate: await writeCertificate(folder),
    seconds: options.seconds,
    warmUpSeconds: options.warmUpSeconds,
    cpus: chooseCpus(),
  }
  const results = new Results()
  let failures = 0
  for (const scenario of scenarios) {
    const missing = missingTool(scenario)
    if (missing !== undefined) {
      failures += 1
      say(`\nSKIPPED ${scenario.name}: ${missing} is not installed`)
      continue
    }
    failures += await measureAll(scenario, present, options.rounds, conditions, results)
    say(printScenario(scenario, results).trimEnd())
  }
  const verdicts = judge(results)
  say(printVerdicts(verdicts).trimEnd())
  say(`\n${describeLoadNow(stolenShare(times))}`)
  if (options.jsonFile !== undefined) {
    const servers = present.map((peer) => peer.version())
    writeFileSync(
      options.jsonFile,
      JSON.stringify({ machine, servers, options, results, verdicts }, undefined, 2),
    )
  }
  return failures === 0 ? 0 : 1
}

/** All servers in turn, as often as there are rounds. Returns how many measurements failed or had errors. */
async function measureAll(
  scenario: Scenario,
  present: readonly Peer[],
  rounds: number,
  conditions: Conditions,
  results: Results,
): Promise<number> {
  const able = present.filter((peer) => scenario.needs.every((ability) => peer.abilities.has(ability)))
  const workerCounts = isShared(scenario) ? [1, 2] : [1]
  let failures = 0
  for (let round = 0; round < rounds; round += 1) {
    for (const peer of able) {
      for (const workers of workerCounts) {
        const row = workerCounts.length > 1 ? `${peer.name} x${workers}` : peer.name
        try {
          const sample = await measure(scenario, peer, workers, conditions)
          results.add(scenario.name, row, round, sample)
          if (sample.errors > 0) failures += 1
        } catch (error) {
          failures += 1
          results.add(scenario.name, row, round, undefined)
          say(`FAILED ${scenario.name}, ${row}: ${reason(error)}`)
        }
      }
    }
  }
  return failures
}

/**
 * The chosen servers that are installed; the others are named aloud, so that no report looks complete when it
 * is not.
 */
function choosePeers(names: readonly string[] | undefined): readonly Peer[] {
  for (const name of names ?? []) {
    if (!peers.some((peer) => peer.name === name)) {
      throw new Error(`no server "${name}"; there are: ${peers.map((peer) => peer.name).join(', ')}`)
    }
  }
  const chosen = peers.filter((peer) => names === undefined || names.includes(peer.name))
  for (const peer of chosen)
    if (peer.version() === undefined) say(`SKIPPED ${peer.name}: it is not installed`)
  return chosen.filter((peer) => peer.version() !== undefined)
}

function missingTool(scenario: Scenario): string | undefined {
  if (scenario.kind !== 'load') return undefined
  const tool = scenario.protocol === 'h1' ? 'wrk' : 'h2load'
  return isInstalled(tool) ? undefined : tool
}

function cleanUpAtExit(folder: string): void {
  process.once('exit', () => {
    killAll()
    rmSync(folder, { recursive: true, force: true })
  })
  for (const [name, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
    ['SIGHUP', 1],
  ] as const) {
    process.once(name, () => process.exit(128 + number))
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
