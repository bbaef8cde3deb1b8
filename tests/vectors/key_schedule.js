'use strict';
// node key_schedule.js DIR CIPHER ...: one process plays client and server over a relay, and prints what went past.
var tls = require('tls'), net = require('net'), fs = require('fs'), dir = process.argv[2], names = process.argv.slice(3);
(function next() {
  var name = names.shift();
  if (!name) return;
  var flow = { client: '', server: '' }, done = false, server, relay;
  function finish(error, session) {
    if (done) return;
    done = true;
    if (error) console.error(name, error.message);
    else console.log(JSON.stringify({ name: name, session: session.toString('hex'), flow: flow }));
    server.close(); relay.close(); next();
  }
  var common = { ciphers: name, secureProtocol: 'TLSv1_method', secureOptions: 0x4000 | 0x800 };
  var options = { key: fs.readFileSync(dir + '/rsa512.key'), cert: fs.readFileSync(dir + '/rsa512.pem') };
  for (var k in common) options[k] = common[k];
  try { server = tls.createServer(options, function (s) { s.on('error', function () {}); s.once('data', function (d) { s.end('reply ' + d); }); }); }
  catch (e) { console.error(name, e.message); return next(); }
  server.on('clientError', function () {});
  server.listen(0, '127.0.0.1', function () {
    relay = net.createServer(function (a) {
      var b = net.connect(server.address().port, '127.0.0.1');
      a.on('data', function (d) { flow.client += d.toString('hex'); b.write(d); }); b.on('data', function (d) { flow.server += d.toString('hex'); a.write(d); });
      a.on('end', function () { b.end(); }); b.on('end', function () { a.end(); }); a.on('error', function () {}); b.on('error', function () {});
    }).listen(0, '127.0.0.1', function () {
      var o = { host: '127.0.0.1', port: relay.address().port, rejectUnauthorized: false }, session;
      for (var k in common) o[k] = common[k];
      var c;
      try { c = tls.connect(o, function () { session = c.getSession(); c.write('request'); }); } catch (e) { return finish(e); }
      c.on('data', function () {}); c.on('error', finish); c.on('end', function () { c.end(); }); c.on('close', function () { setTimeout(function () { finish(null, session); }, 50); });
    });
  });
})();
