import { type ExitCode, exitCodes } from './exit-codes.ts'
import type { Terminal } from './terminal.ts'

const text = `Sluice: an HTTPS gateway in front of plain-HTTP apps.

Usage
  sluice http://localhost:3000     HTTPS in front of one app, no file needed
  sluice run [-c FILE]             run from a configuration, in the foreground
  sluice check [-c FILE]           report every fault of a configuration (also: validate, -t)
  sluice reload [-c FILE]          make the running gateway load its configuration again
         [--admin ADDRESS]         ask this admin address instead of the configuration's
  sluice start [URL | -c FILE]     like run; with no configuration at all: a demo with an origin of its own
  sluice version
  sluice help

The configuration is the first of: -c FILE, $SLUICE_CONFIG, ./sluice.config.{ts,mts,js,mjs,json,yaml,yml}, the same in /etc/sluice/.

Environment
  SLUICE_CONFIG     path of the configuration
  SLUICE_WORKERS    number of workers, above the configuration's

Signals
  HUP               load the configuration again; a bad one changes nothing
  TERM, INT, QUIT   stop: finish what is running, then end; a second one ends at once
  USR1              open the access log again (log rotation)

Exit codes: 0 ok, 1 bad configuration or failed start, 2 forced to stop, 3 stopped with requests cut.`

export function printHelp(terminal: Terminal): ExitCode {
  terminal.out(text)
  return exitCodes.ok
}
