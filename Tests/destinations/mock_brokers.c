// Brokers for the trials of destinations: librdkafka's mock cluster, as a process of its own, which does as it is told.
// It keeps some megabytes of each partition, and takes what a producer sends again for something new.
//
// usage: mock_brokers BROKERS TOPIC PARTITIONS      prints the brokers' addresses, then carries out a line at a time:
//
// errors API CODE COUNT    the next so many requests of this kind are answered with the error; -195 cuts the connection
// well API                 those of them that are left are not
// down BROKER, up BROKER   breaks its connections and takes no new ones; takes them again
// slow BROKER MS           each of its answers takes so long
// lead PARTITION BROKER    makes the broker the partition's leader
//
// Each line is answered by `ok`, or by what is wrong with it.
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ERRORS = 100000, TEXT = 512 };

static const char *carry_out(rd_kafka_mock_cluster_t *cluster, const char *topic, const char *line) {
    static rd_kafka_resp_err_t errors[MAX_ERRORS];
    int a, b, count;
    rd_kafka_resp_err_t outcome = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (sscanf(line, "errors %d %d %d", &a, &b, &count) == 3 && count > 0 && count <= MAX_ERRORS) {
        for (int i = 0; i < count; i++) errors[i] = (rd_kafka_resp_err_t)b;
        rd_kafka_mock_push_request_errors_array(cluster, (int16_t)a, (size_t)count, errors);
    } else if (sscanf(line, "well %d", &a) == 1) {
        rd_kafka_mock_clear_request_errors(cluster, (int16_t)a);
    } else if (sscanf(line, "down %d", &a) == 1) {
        outcome = rd_kafka_mock_broker_set_down(cluster, a);
    } else if (sscanf(line, "up %d", &a) == 1) {
        outcome = rd_kafka_mock_broker_set_up(cluster, a);
    } else if (sscanf(line, "slow %d %d", &a, &b) == 2) {
        outcome = rd_kafka_mock_broker_set_rtt(cluster, a, b);
    } else if (sscanf(line, "lead %d %d", &a, &b) == 2) {
        outcome = rd_kafka_mock_partition_set_leader(cluster, topic, a, b);
    } else {
        return "not understood";
    }
    return outcome == RD_KAFKA_RESP_ERR_NO_ERROR ? "ok" : rd_kafka_err2str(outcome);
}

int main(int argc, char **argv) {
    char text[TEXT];
    if (argc != 4) return fprintf(stderr, "usage: mock_brokers BROKERS TOPIC PARTITIONS\n"), 2;
    int brokers = atoi(argv[1]), partitions = atoi(argv[3]);
    rd_kafka_conf_t *configuration = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(configuration, NULL);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, configuration, text, sizeof text);
    if (!client) return fprintf(stderr, "%s\n", text), 1;
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(client, brokers);
    if (!cluster || rd_kafka_mock_topic_create(cluster, argv[2], partitions, brokers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return fprintf(stderr, "no mock cluster of %d brokers\n", brokers), 1;
    printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
    fflush(stdout);
    while (fgets(text, sizeof text, stdin)) {
        printf("%s\n", carry_out(cluster, argv[2], text));
        fflush(stdout);
    }
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(client);
    return 0;
}
