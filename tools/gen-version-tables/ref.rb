# SPDX-License-Identifier: Apache-2.0
# Pairs from stdin, one order a line: Gem::Version.
require 'rubygems'
STDIN.each_line(chomp: true) do |line|
  pair = line.split("\t", -1)
  if pair.any? { |v| v.strip.empty? || !Gem::Version.correct?(v) }
    puts '!'
  else
    puts '<=>'[(Gem::Version.new(pair[0]) <=> Gem::Version.new(pair[1])) + 1]
  end
end
