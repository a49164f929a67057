"""From the command line to a configuration that is known to run. No TensorFlow, no data, no tracker."""
