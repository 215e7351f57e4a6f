// Runs the Java side of the interop suite in one JVM, because starting one JVM
// for each of about a hundred small questions would take longer than the tests.
//
//   java Driver serve         reads commands from stdin, one per line, fields
//                             separated by tabs: RESULT VERB ARGS...
//                             Each runs in a thread of its own. What it prints goes
//                             to the file RESULT; RESULT.rc then holds 0 or 1.
//   java Driver VERB ARGS...  runs one command, prints, exits with 0 or 1
//
// Verbs:
//   admin ARGS...                      the real mqadmin (Admin.java)
//   await SERVER MILLIS CONDITION...   polls the wire until CONDITION holds (Probe.java)
//   kv put|check SERVER MARK           stores odd texts, or finds them (Kv.java)
//   exchange SERVERS TOPIC N           sends N messages and receives them (Client.java)
//   stream SERVERS CONTROL             sends until CONTROL says stop (Client.java)
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;

public class Driver {
    public static void main(String[] args) throws Exception {
        if (args.length == 1 && args[0].equals("serve")) {
            serve();
            Runtime.getRuntime().halt(0);
        }
        boolean passed = run(args[0], Arrays.copyOfRange(args, 1, args.length));
        System.out.flush();
        // The clients leave threads behind that would keep the process alive.
        Runtime.getRuntime().halt(passed ? 0 : 1);
    }

    static void serve() throws Exception {
        PrintStream routed = new PrintStream(new PerThread(System.out), true, StandardCharsets.UTF_8);
        System.setOut(routed);
        System.setErr(routed);
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            String[] fields = line.split("\t", -1);
            Path result = Path.of(fields[0]);
            String[] args = Arrays.copyOfRange(fields, 2, fields.length);
            Thread thread = new Thread(() -> answer(result, fields[1], args), fields[1] + " " + result.getFileName());
            thread.setDaemon(true);
            thread.start();
        }
    }

    static void answer(Path result, String verb, String[] args) {
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        PerThread.target.set(printed);
        boolean passed = run(verb, args);
        System.out.flush();
        try {
            Files.write(result, printed.toByteArray());
            // The reader waits for this name, so it must not see it half-written.
            Path part = Files.writeString(Path.of(result + ".part"), passed ? "0\n" : "1\n");
            Files.move(part, Path.of(result + ".rc"), StandardCopyOption.ATOMIC_MOVE);
        } catch (java.io.IOException e) {
            e.printStackTrace();
        }
    }

    static boolean run(String verb, String[] args) {
        try {
            switch (verb) {
                case "admin":
                    return Admin.run(args);
                case "await":
                    return Probe.await(args[0], Long.parseLong(args[1]), Arrays.copyOfRange(args, 2, args.length));
                case "kv":
                    return Kv.run(args[0], args[1], args[2]);
                case "exchange":
                    return Client.exchange(args[0], args[1], Integer.parseInt(args[2]));
                case "stream":
                    return Client.stream(args[0], Path.of(args[1]));
                default:
                    System.out.println("no such verb: " + verb);
                    return false;
            }
        } catch (Throwable e) {
            e.printStackTrace(System.out);
            return false;
        }
    }

    // What a thread and the threads it started print, kept apart from what others print.
    static class PerThread extends OutputStream {
        static final InheritableThreadLocal<OutputStream> target = new InheritableThreadLocal<>();
        private final OutputStream otherwise;

        PerThread(OutputStream otherwise) {
            this.otherwise = otherwise;
        }

        private OutputStream out() {
            OutputStream mine = target.get();
            return mine == null ? otherwise : mine;
        }

        @Override
        public void write(int b) throws java.io.IOException {
            out().write(b);
        }

        @Override
        public void write(byte[] b, int from, int length) throws java.io.IOException {
            out().write(b, from, length);
        }
    }
}
