// Runs the real mqadmin subcommands inside this JVM: its own start and stop are
// nearly all of the seconds that one call of mqadmin takes.
import java.util.Arrays;
import org.apache.commons.cli.CommandLine;
import org.apache.commons.cli.DefaultParser;
import org.apache.commons.cli.Options;
import org.apache.rocketmq.common.MixAll;
import org.apache.rocketmq.srvutil.ServerUtil;
import org.apache.rocketmq.tools.command.MQAdminStartup;
import org.apache.rocketmq.tools.command.SubCommand;

class Admin extends MQAdminStartup {
    private static final Object PACE = new Object();

    static {
        initCommand();
    }

    // Does what `MQAdminStartup.main0` does for one subcommand; whether it worked is for the
    // caller to read from the output, because mqadmin itself never says.
    static boolean run(String[] args) throws Exception {
        SubCommand command = find(args[0]);
        if (command == null) {
            System.out.println("mqadmin has no " + args[0]);
            return false;
        }
        Options options = ServerUtil.buildCommandlineOptions(new Options());
        CommandLine line = new DefaultParser()
            .parse(command.buildCommandlineOptions(options), Arrays.copyOfRange(args, 1, args.length));
        synchronized (PACE) {
            // A subcommand names its client by the millisecond it starts in; two in one would collide.
            Thread.sleep(20);
            if (line.hasOption('n')) {
                System.setProperty(MixAll.NAMESRV_ADDR_PROPERTY, line.getOptionValue('n'));
            }
        }
        command.execute(line, options, null);
        return true;
    }

    private static SubCommand find(String name) {
        for (SubCommand command : SUB_COMMANDS) {
            if (command.commandName().equalsIgnoreCase(name)) {
                return command;
            }
        }
        return null;
    }
}
