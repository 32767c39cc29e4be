// The services under PM2. `./trade-engine up` starts them; `pm2 start ecosystem.config.js` does too,
// from any folder. TRADE_ENGINE_HOME moves configuration, signals, state and logs elsewhere.
const fs = require("fs");
const os = require("os");
const path = require("path");

const root = __dirname;

function homeFolder() {
  const wished = process.env.TRADE_ENGINE_HOME;
  if (!wished) return root;
  const folder = path.resolve(wished.replace(/^~(?=$|\/)/, os.homedir()));
  return fs.existsSync(folder) ? fs.realpathSync(folder) : folder;
}

const home = homeFolder();

// PM2 writes a service's whole environment into files of its own, readable by others: only what a
// service needs goes in, never a secret. Our keys are in credentials.json (0600).
const passedOn = [
  "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH",
  "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
  "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
  "TRADE_ENGINE_LOG_LEVEL",
];
const env = {
  TRADE_ENGINE_HOME: home,
  // empty = unset for Python: without bytecode ccxt alone takes seconds to import
  PYTHONDONTWRITEBYTECODE: "",
  PYTHONPATH: "",
};
for (const name of passedOn) if (process.env[name]) env[name] = process.env[name];

function service(name, script, extra = {}) {
  return {
    name,
    script: path.join(root, script),
    cwd: root,
    interpreter: path.join(root, ".venv", "bin", "python"),
    exec_mode: "fork",
    instances: 1,
    watch: false,
    vizion: false,
    autorestart: true,
    wait_ready: true, // a service writes "ready" once lock, settings and journals are in hand
    listen_timeout: 30000,
    exp_backoff_restart_delay: 100,
    stop_exit_codes: [78], // the configuration was refused: a restart would not help
    kill_timeout: 5000,
    merge_logs: true,
    out_file: path.join(home, "logs", `${name}.out.log`),
    error_file: path.join(home, "logs", `${name}.err.log`),
    filter_env: [""], // every name contains "": nothing of the caller's environment but `env`
    env,
    ...extra,
  };
}

function needsPaperExchange() {
  const files = ["credentials.json", path.join("state", "last_good", "credentials.json")];
  for (const file of files) {
    try {
      const { accounts = [], bittensor_sn8: sn8 } = JSON.parse(fs.readFileSync(path.join(home, file), "utf8"));
      if (sn8 && sn8.environment === "paper" && !sn8.endpoint) return true;
      return accounts.some((a) => a.enabled !== false && a.environment === "paper" && !a.base_url);
    } catch {
      // absent or broken: what the engine would fall back to decides
    }
  }
  return false;
}

const apps = [
  service("tradingview-endpoint", "signal_processors/tradingview_endpoint.py"),
  // a payload of 256 MB unpacked needs its room, a leak does not
  service("bittensor-signals", "signal_processors/bittensor_processor.py", { max_memory_restart: "1G" }),
  service("trade-engine", "execute_trades.py", { kill_timeout: 30000 }),
  service("monitor", "monitor/app.py"),
];
// first, so that the engine finds it at once; it can do without for a while
if (needsPaperExchange()) apps.unshift(service("paper-exchange", "paper_exchange/server.py"));

module.exports = { apps };
