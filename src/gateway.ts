import { resolve } from 'node:path'
import { type AdminServer, openAdmin } from './admin/server.ts'
import type { Readiness, ReloadResult } from './admin/routes.ts'
import { type Clock, systemClock } from './clock.ts'
import { ConfigError } from './config/faults.ts'
import type { ResolvedGateway } from './config/gateway-options.ts'
import type { Environment } from './config/resolve.ts'
import { reason } from './errors.ts'
import { ListenError } from './listener/bind.ts'
import { type FileWatch, watchFiles } from './listener/certificate-files.ts'
import { CertificateError } from './listener/certificates.ts'
import type { Logger } from './log.ts'
import { type ListenAddress, printListenAddress } from './net-address.ts'
import type { LogSink } from './observe/log-sink.ts'
import { stderrWriter } from './stderr-log.ts'
import { readVersion } from './version.ts'
import { adjustableLogger } from './workers/adjustable-logger.ts'
import { type DrainResult, Fleet } from './workers/fleet.ts'
import { LogOutput } from './workers/log-output.ts'
import { materialFiles } from './workers/materials.ts'
import { type GatewaySource, type Plan, type PlanDeps, makePlan, renewMaterials } from './workers/plan.ts'
import { WorkerStartError } from './workers/supervisor.ts'

/**
 * The gateway as one thing, in the main thread: configuration, certificates, admin endpoint, logs and the workers, which
 * carry the traffic. Start, reload, drain, stop.
 *
 * It never sees a request. A reload that fails, at whatever point, changes nothing. In memory: the plan in use, the
 * certificates' text, one reload that runs and one that waits.
 */
export interface GatewayInit {
  readonly source: GatewaySource
  readonly env?: Environment
  readonly clock?: Clock
  /** Takes whole lines of the runtime log; default: standard error. */
  readonly writeLog?: (line: string) => void
  /** Takes the access log instead of what the configuration names. */
  readonly accessLogSink?: LogSink
  /** Where the development certificate is kept; default: `certs` in the working folder. */
  readonly certificateFolder?: string
}

/** A gateway that could not start. Each fault is one line, for people. */
export class StartError extends Error {
  override readonly name = 'StartError'
  readonly faults: readonly string[]

  constructor(faults: readonly string[], cause: unknown) {
    super(faults.join('\n'), { cause })
    this.faults = faults
  }
}

export interface ServedAddress {
  /** The listener's name: its address as written. */
  readonly name: string
  /** With the port that was found for 0. */
  readonly address: ListenAddress
  readonly encrypted: boolean
}

/** More faults than this help nobody. */
const maxFaults = 100

/** Starts a gateway inside this process. Rejects with StartError; nothing runs then. */
export async function startGateway(init: GatewayInit): Promise<Gateway> {
  const gateway = new Gateway(init)
  await gateway.start()
  return gateway
}

export class Gateway {
  readonly version = readVersion()
  readonly logger: Logger
  readonly #setLevel: (level: ResolvedGateway['logLevel']) => void
  readonly #writeLog: (line: string) => void
  readonly #deps: PlanDeps
  readonly #log: LogOutput
  #state: Readiness['state'] = 'starting'
  #fleet: Fleet | undefined
  #admin: AdminServer | undefined
  #watch: FileWatch | undefined
  #running: Promise<ReloadResult> | undefined
  #waiting: Promise<ReloadResult> | undefined
  #stopped: Promise<DrainResult> | undefined

  constructor(init: GatewayInit) {
    const clock = init.clock ?? systemClock
    this.#writeLog = init.writeLog ?? stderrWriter()
    const { logger, setLevel } = adjustableLogger(this.#writeLog, 'info', clock)
    this.logger = logger
    this.#setLevel = setLevel
    this.#deps = {
      source: init.source,
      env: init.env ?? process.env,
      clock,
      logger,
      certificateFolder: init.certificateFolder ?? resolve('certs'),
    }
    this.#log = new LogOutput({ clock, logger }, init.accessLogSink)
  }

  /** Where it listens; none before it has started. */
  get addresses(): readonly ServedAddress[] {
    const plan = this.#fleet?.plan
    if (plan === undefined) return []
    return plan.worker.listeners.map(({ address }, at) => ({
      name: plan.config.listeners[at]?.name ?? '',
      address,
      encrypted: plan.config.listeners[at]?.tls !== undefined,
    }))
  }

  /** Of the admin endpoint, with its real port; undefined when there is none. */
  get adminAddress(): string | undefined {
    return this.#admin?.address
  }

  get readiness(): Readiness {
    return { state: this.#state, workers: this.#fleet?.size ?? 0, serving: this.#fleet?.serving ?? 0 }
  }

  /** Resolves when every worker serves. Rejects with StartError; nothing runs then. */
  async start(): Promise<void> {
    try {
      const plan = await makePlan(this.#deps, undefined)
      const { admin, accessLog, logLevel } = plan.config
      this.#setLevel(logLevel)
      this.#log.prepare(accessLog).commit()
      const { clock } = this.#deps
      const fleet = new Fleet(plan, {
        clock,
        logger: this.logger,
        writeLog: this.#writeLog,
        accessLog: this.#log,
      })
      this.#fleet = fleet
      if (admin !== undefined) this.#admin = await this.#openAdmin(admin.address, fleet)
      this.#watch = await this.#watchCertificates(plan, fleet)
      await fleet.start()
    } catch (error) {
      await this.#release()
      this.#state = 'stopped'
      throw new StartError(faultsOf(error), error)
    }
    this.#state = 'ready'
    this.logger.info('gateway started', {
      version: this.version,
      workers: this.#fleet.size,
      listeners: this.addresses.map(({ address }) => printListenAddress(address)).join(' '),
      admin: this.adminAddress,
      pid: process.pid,
    })
  }

  /**
   * Loads the configuration again and puts it to use in every worker, or in none. One at a time; calls that come while
   * one waits get that one's result. Never rejects.
   */
  reload(): Promise<ReloadResult> {
    if (this.#running !== undefined) {
      this.#waiting ??= this.#running.then(() => {
        this.#waiting = undefined
        return this.reload()
      })
      return this.#waiting
    }
    this.#running = this.#reload().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  /** Opens the access log again, for log rotation. */
  reopenLog(): void {
    this.#log.reopen()
  }

  /** Takes no more connections, finishes what runs, cuts the rest at the deadline. Idempotent; never rejects. */
  stop(): Promise<DrainResult> {
    this.#stopped ??= this.#drain()
    return this.#stopped
  }

  /** Ends one worker at once, as a crash would; it is started again. */
  async crashWorker(index: number): Promise<void> {
    await this.#fleet?.crash(index)
  }

  async #reload(): Promise<ReloadResult> {
    const fleet = this.#fleet
    if (this.#state !== 'ready' || fleet === undefined) {
      return { kind: 'failed', faults: [`the gateway is ${this.#state}`] }
    }
    const former = fleet.plan
    try {
      const plan = await makePlan(this.#deps, former)
      const log = this.#log.prepare(plan.config.accessLog)
      const watch = await this.#watchCertificates(plan, fleet)
      const faults = await fleet.swap(plan)
      if (faults.length > 0) {
        log.abandon()
        watch?.stop()
        return this.#refused('failed', faults)
      }
      log.commit()
      this.#watch?.stop()
      this.#watch = watch
      this.#setLevel(plan.config.logLevel)
      const warnings = restartWarnings(plan.config, former.config, fleet.size)
      for (const warning of warnings) this.logger.warn('configuration', { warning })
      this.logger.info('configuration reloaded', { generation: plan.worker.generation })
      return { kind: 'reloaded', warnings: [...plan.warnings, ...warnings] }
    } catch (error) {
      const isUsersFault = error instanceof ConfigError || error instanceof CertificateError
      return this.#refused(isUsersFault ? 'refused' : 'failed', faultsOf(error))
    }
  }

  #refused(kind: 'refused' | 'failed', faults: readonly string[]): ReloadResult {
    this.logger.error('reload failed, the configuration in use stays', { reason: faults.join('; ') })
    return { kind, faults: faults.slice(0, maxFaults) }
  }

  async #drain(): Promise<DrainResult> {
    // Readiness first: a load balancer should look elsewhere before a connection is refused.
    this.#state = 'draining'
    this.logger.info('gateway stops', { deadlineMs: this.#fleet?.plan.config.timeouts.drainMs })
    const result = (await this.#fleet?.drain()) ?? { cut: 0, clean: true }
    if (result.cut > 0) this.logger.warn('requests were cut at the deadline', { requests: result.cut })
    await this.#release()
    this.#state = 'stopped'
    this.logger.info('gateway stopped', { clean: result.clean })
    return result
  }

  /** Lets go of everything that is open; harmless for what is not. */
  async #release(): Promise<void> {
    this.#watch?.stop()
    await this.#fleet?.terminate()
    await this.#admin?.close()
    await this.#log.close()
  }

  async #openAdmin(address: ListenAddress, fleet: Fleet): Promise<AdminServer> {
    const target = {
      version: this.version,
      readiness: () => this.readiness,
      reload: () => this.reload(),
      trace: (requestId: string) => fleet.trace(requestId),
      upstreams: () => fleet.stats(),
    }
    try {
      return await openAdmin(address, target, this.logger)
    } catch (error) {
      throw new ListenError(address, error)
    }
  }

  async #watchCertificates({ config, materials }: Plan, fleet: Fleet): Promise<FileWatch | undefined> {
    const files = materialFiles(config, materials)
    if (files.length === 0) return undefined
    return watchFiles(files, { clock: this.#deps.clock, logger: this.logger }, async () => {
      await fleet.renewCertificates((plan) => renewMaterials(plan, this.#deps))
      this.logger.info('certificates replaced')
    })
  }
}

/** What a reload leaves as it was. */
function restartWarnings(config: ResolvedGateway, former: ResolvedGateway, workers: number): string[] {
  const warnings: string[] = []
  if (config.workers !== workers) warnings.push('workers: the new number needs a restart')
  if (JSON.stringify(config.admin) !== JSON.stringify(former.admin)) {
    warnings.push('admin: the new address needs a restart')
  }
  return warnings
}

/** One line each. */
function faultsOf(error: unknown): readonly string[] {
  if (error instanceof ConfigError) return error.message.split('\n')
  if (error instanceof WorkerStartError) return error.faults
  return [reason(error)]
}
